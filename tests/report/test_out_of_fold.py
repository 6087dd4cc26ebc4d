"""An experiment with folds: its page leads with the answer and shows its mistakes."""

import pytest
from pictured import EACH, NAMES, folded_run, pictured_run

from infaug.report.experiment_data import read_experiment
from infaug.report.experiment_page import write_report
from infaug.report.out_of_fold import (
    calibration,
    confused_pairs,
    confusion,
    judgements,
    mistakes,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return folded_run(tmp_path_factory.mktemp("folded") / "run")


@pytest.fixture(scope="module")
def experiment(run):
    return read_experiment(run, "run")


@pytest.fixture(scope="module")
def judged(experiment):
    return judgements(experiment)


def test_every_image_is_counted_once_where_it_was_taken_to_be(judged):
    expected = [[EACH, 0, 0], [0, EACH, 0], [0, EACH, 0]]
    assert confusion(judged).tolist() == expected
    assert confused_pairs(judged) == [("hen", "dog", EACH, EACH)]


def test_calibration_compares_what_was_said_with_what_was_right(judged):
    bins, error = calibration(judged)
    expected = [(55, 100, EACH), (75, 0, EACH), (95, 100, EACH)]
    for (said, right, num), wanted in zip(bins, expected, strict=True):
        assert (said, right, num) == pytest.approx(wanted, abs=1e-4)
    assert error == pytest.approx((45 + 75 + 5) / 3, abs=1e-4)


def test_mistakes_show_each_image_once(experiment, judged):
    found = mistakes(experiment, judged)
    assert {(each["label"], each["predicted"]) for each in found} == {("hen", "dog")}
    assert len({each["image"].uri for each in found}) == len(found) == 12
    assert found[0]["percent"] == pytest.approx(75, abs=1e-4)


def test_the_page_leads_with_the_answer_and_says_out_of_fold(run):
    page = write_report(run).read_text()
    top, results = page.split('<section id="results"')
    assert f"like the {len(NAMES) * EACH} that were judged out of fold" in top
    answer = "base is right for 66.7\N{NO-BREAK SPACE}% of images like the"
    worth = "is worth -5.0 points (-9.0 to -1.0: pooled_learned against base)"
    top = top.split("<h1>")[1].replace("\N{MINUS SIGN}", "-")
    assert top.index(answer) < top.index(worth)
    assert "Top-1 accuracy out of fold, percent" in results
    assert "base (the answer)" in results
    shown = top + results.split("</section>")[0]
    assert "on test" not in shown
    assert "test images" not in shown
    order = [page.index(f'<section id="{name}"') for name in ("results", "curves",
             "judged", "pictures")]  # fmt: skip
    assert order == sorted(order)


def test_without_folds_or_an_end_nothing_is_judged(tmp_path, experiment):
    plain = read_experiment(pictured_run(tmp_path / "plain"), "plain")
    with pytest.raises(ValueError, match="not judged in folds"):
        judgements(plain)

"""The table of a report, classes, and images that an experiment left out."""

import html
import json
from dataclasses import replace

import pytest
from finished import finished_run

from infaug.report.experiment_data import read_experiment
from infaug.report.experiment_page import write_report
from infaug.report.results import MAX_CLASSES, by_class, left_out, method_results
from infaug.training.methods import RANDOM, RANDOM_METHODS


@pytest.fixture
def run(tmp_path):
    return finished_run(tmp_path / "run")


def found(*rates):
    """Results of one method: what each seed says of every class."""
    lines = [{"seed": seed, "test_by_class": list(r)} for seed, r in enumerate(rates)]
    return dict(enumerate(lines))


def test_means_are_over_seeds_that_have_images_of_the_class(run):
    experiment = replace(
        read_experiment(run, "run"),
        images={"classes": ["frog", "horse", "truck"]},
        found={"base": found((50, None, 0), (100, None, 50)), "pooled": {}},
    )
    shown = by_class(experiment)
    assert shown.classes == ("frog", "horse", "truck")
    assert shown.methods == {"base": (75, None, 25)}
    assert shown.num_left_out == 0
    assert by_class(replace(experiment, found={"base": {}})) is None


def test_of_many_classes_those_are_shown_that_do_worst_in_their_order(run):
    rates = [90 - k for k in range(MAX_CLASSES + 2)]
    names = [f"class {k}" for k in range(len(rates))]
    experiment = read_experiment(run, "run")
    images, of = {"classes": names}, {"base": found(rates)}
    shown = by_class(replace(experiment, images=images, found=of))
    assert shown.classes == tuple(names[2:])
    assert shown.num_left_out == 2


def test_the_best_method_comes_first_and_parts_follow_what_they_are_parts_of(run):
    experiment = read_experiment(run, "run")
    top1 = dict(
        zip(("none", "base", *RANDOM_METHODS), (50.0, 70.0, 10.0, 60.0), strict=True)
    )
    records = {
        name: {0: {"seed": 0, "test_top1": top, "selection_top1": top}}
        for name, top in top1.items()
    }
    config = replace(experiment.config, methods=("learned", *top1))
    lines = method_results(
        replace(experiment, found=records, config=config, result=None)
    )
    names = [line.method for line in lines]
    assert names[:5] == ["base", RANDOM, *RANDOM_METHODS, "none"]
    assert "learned" in names[5:], "not finished"
    assert lines[1].mean == 60.0


def twin(seed: int, name: str) -> str:
    line = {"seed": seed, "split": "train", "position": 3, "name": name}
    return json.dumps(line | {"held": "test", "twin": "use/1.png"}) + "\n"


def test_what_was_left_out_is_named_with_the_reason_the_first_ten(run):
    assert left_out(read_experiment(run, "run")) == []
    lines = [f"<{k}>.png cannot be read (it is empty)\n" for k in range(13)]
    (run / "unreadable.txt").write_text("".join(lines))
    (run / "duplicates.jsonl").write_text(twin(0, "a/0.png") + twin(1, "a/0.png"))
    white = "composited 3 images on white, for parts of them are transparent"
    (run / "images.txt").write_text(white + "\n")
    page = write_report(run).read_text()
    assert "13 images could not be read and were skipped." in page
    assert html.escape("<9>.png cannot be read (it is empty)") in page
    assert "10&gt;.png" not in page
    assert "and 3 more in unreadable.txt" in page
    assert "1 image is, pixel by pixel, in two splits of a seed, and was left" in page
    assert "a/0.png, left out of train: the same as use/1.png (test)" in page
    assert page.index(white) > page.index('id="settings"')

"""Fresh seeds, and one look at test images when everything is chosen."""

import json
from pathlib import Path

import pytest

from infaug.experiment.sweep import results as module
from infaug.experiment.sweep.confirm import (
    Repeat,
    confirmed,
    repeats,
    run_repeat,
    score_on_test,
)
from infaug.experiment.sweep.results import conclude, write_choice
from infaug.report.sweep import describe_result

from .cases import progress, sweep
from .test_results import filled


def found_of(plan, best: list[float], default: list[float]):
    wanted = repeats(plan, len(best), is_default=not default)
    losses = {"best": best, "default": default}
    return {
        each: progress(12, losses[each.side][each.seed - 1 - plan.how.seed])
        for each in wanted
    }


def test_the_seeds_are_fresh_and_both_sides_have_the_same(tmp_path):
    wanted = repeats(sweep(tmp_path, seed=4), 2, is_default=False)
    assert [(each.side, each.seed) for each in wanted] == [
        ("best", 5), ("default", 5), ("best", 6), ("default", 6),
    ]  # fmt: skip
    alone = repeats(sweep(tmp_path), 2, is_default=True)
    assert [each.side for each in alone] == ["best"] * 2


@pytest.mark.parametrize(
    ("best", "default", "word"),
    [
        ([0.1, 0.2, 0.3], [0.5, 0.6, 0.7], "better"),
        ([0.5, 0.6, 0.7], [0.1, 0.2, 0.3], "worse"),
        ([0.1, 0.2, 0.3], [0.2, 0.1, 0.4], "undecided"),
        ([0.1], [0.9], "undecided"),
        ([0.1, 0.2], [], "no trial beat"),
    ],
)
def test_fresh_seeds_decide_by_the_sign_of_merit(best, default, word, tmp_path):
    plan = sweep(tmp_path)
    assert confirmed(plan, found_of(plan, best, default))["words"].startswith(word)


def test_test_images_are_looked_at_once_and_the_number_is_kept(tmp_path, monkeypatch):
    looked = []

    def score(sweep, seeds):
        looked.append(list(seeds))
        return {
            "images": 500, "seeds": list(seeds), "top1": [90.0], "loss": [0.3],
            "mean_top1": 90.0, "mean_loss": 0.3,
        }  # fmt: skip

    monkeypatch.setattr(module, "score_on_test", score)
    plan, ledger = filled(tmp_path)
    best = write_choice(plan, ledger)
    assert conclude([plan], ledger, best, None)["test"] is None
    assert looked == []
    fresh = confirmed(plan, found_of(plan, [0.1, 0.2], [0.3, 0.5]))
    for _ in range(2):
        result = conclude([plan], ledger, best, fresh)
        assert result["test"]["mean_top1"] == 90.0
    assert looked == [[1, 2]]
    json.loads((plan.out / "result.json").read_text())
    lines = describe_result(result)
    assert [line for line in lines if "test" in line] == [lines[-1]]


def test_a_repeat_is_trained_and_its_f_is_scored_on_the_images_set_aside(tmp_path):
    plan = sweep(tmp_path)
    changes = {"estimator.learning_rate": 0.005}
    repeat = Repeat(side="best", seed=1)
    found = run_repeat(repeat, plan, changes, None)
    assert found.steps == plan.steps
    scored = score_on_test(plan, [1])
    assert scored["images"] > 400
    assert 0 <= scored["mean_top1"] <= 100
    asked = Path(repeat.home(plan)) / "asked.json"
    requested = json.loads(asked.read_text())
    assert requested["estimator"]["learning_rate"] == 0.005

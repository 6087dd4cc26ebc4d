"""Which trial is best, and what is written and known of all of them."""

import csv
import json
from dataclasses import replace

import pytest

from infaug.config import RunConfig, from_dict
from infaug.experiment.sweep.changes import propose
from infaug.experiment.sweep.ledger import Ledger
from infaug.experiment.sweep.results import (
    agreements,
    best_of,
    importance,
    write_choice,
)
from infaug.experiment.sweep.space import Choice
from infaug.report.pictures import draw_parallel
from infaug.report.sweep import describe_result, table

from .cases import SMALL, SPACE, progress, sweep, tried

RESULT = {"importance": None, "agreement": [], "ladder": [], "confirm": None}


def test_the_best_is_chosen_among_those_with_all_steps_by_the_last_round():
    trials = [
        tried("t00", [0.9, 0.5]),
        tried("t01", [0.1], end="stopped"),
        tried("t02", [0.2, 0.4]),
        tried("t03", [0.3, 0.4]),
    ]
    assert best_of(trials, "loss").name == "t02"
    trials[0].rounds[-1] = replace(trials[0].rounds[-1], top1=99.0)
    assert best_of(trials, "top1").name == "t00"
    failed = tried("t00", [], end="failed")
    failed.why = "loss is not finite"
    with pytest.raises(ValueError, match="no trial came to its end: loss is not fin"):
        best_of([failed], "loss")


def filled(tmp_path, count: int = 3):
    """A sweep whose trials have ended; the loss grows with the learning rate."""
    plan = sweep(tmp_path / "sweep", trials=count)
    plan.enter()
    ledger = plan.ledger()
    for name in plan.names:
        changes = propose(name, SPACE, SMALL, 0)
        ledger.propose(name, changes)
        place = SPACE["estimator.learning_rate"].place(
            changes["estimator.learning_rate"]
        )
        for each in tried(name, [2 + place, 1 + place]).rounds:
            ledger.report(name, each, changes, name)
        ledger.finish(name, "completed")
    return plan, ledger


@pytest.mark.parametrize("name", ["file", "file/sweep"])
def test_a_file_in_the_way_of_a_sweep_is_named(name, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=rf"{name} cannot be written.*another --out"):
        sweep(tmp_path / name).enter()


def test_the_best_settings_are_a_config_that_fit_takes(tmp_path):
    plan, ledger = filled(tmp_path)
    best = write_choice(plan, ledger)
    config = from_dict(RunConfig, json.loads((plan.out / "best.json").read_text()))
    assert config == plan.trial(best.changes).config
    rate = best.changes["estimator.learning_rate"]
    assert config.estimator.learning_rate == rate
    with (plan.out / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == plan.names
    assert float(rows[1]["influence.damping"]) in SPACE["influence.damping"]
    lines = table(list(ledger.trials.values()), SPACE, "loss").splitlines()
    assert lines[1].split()[0] == best.name


def test_a_forest_finds_the_setting_that_decided_and_a_picture_is_drawn(tmp_path):
    plan, ledger = filled(tmp_path, count=16)
    trials = list(ledger.trials.values())
    found = importance(trials, plan.space, "loss")
    assert next(iter(found["by_name"])) == "estimator.learning_rate"
    assert found["explained"] > 0.5
    assert found["steps"] == 6
    draw_parallel(trials, plan.space, "loss", "t03", tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 10_000


def test_few_trials_say_nothing_and_noise_is_called_noise(tmp_path):
    trials = [
        tried(name, [0.5], **propose(name, SPACE, SMALL, 0))
        for name in sweep(tmp_path, trials=12).names
    ]
    assert importance(trials[:4], SPACE, "loss") is None
    for number, trial in enumerate(trials):
        trial.rounds[0] = replace(trial.rounds[0], loss=float(number * 7 % 12))
    found = importance(trials, SPACE, "loss")
    assert found is not None
    assert (
        "take it for noise"
        in describe_result(
            {"importance": found, "agreement": [], "ladder": [], "confirm": None}
        )[0]
    )


@pytest.mark.parametrize(("sign", "expected"), [(1, 1.0), (-1, -1.0)])
def test_rungs_agree_where_the_order_of_trials_stays(sign, expected, tmp_path):
    """Four rounds of three steps; ASHA compares after the first and the third."""
    plan = sweep(tmp_path, trials=9, grace=0.25, reduction=3)
    assert plan.rungs == [3, 9]
    trials = [tried(f"t{k}", [sign * k, k, k, k]) for k in range(8)]
    trials.append(tried("t8", [100.0], end="stopped"))
    trials.append(tried("t9", [sign * 9.0, 9.0, 9.0], end="stopped"))
    first, other, last = agreements(plan, trials)
    steps = [(each["rung"], each["later"]) for each in (first, other, last)]
    assert steps == [(3, 9), (3, 12), (9, 12)]
    assert first["spearman"] == other["spearman"] == pytest.approx(expected)
    assert last["spearman"] == pytest.approx(1.0)
    assert (first["num_trials"], last["num_trials"]) == (9, 8)
    assert -1 < first["low"] <= first["high"] < 1
    lines = describe_result(
        {"importance": None, "agreement": [first], "ladder": [], "confirm": None}
    )
    assert "step 3 with step 9: Spearman" in lines[0]
    assert agreements(plan, trials[:4]) == [], "too few to tell"


def test_a_sweep_goes_on_with_more_trials_and_with_nothing_else(tmp_path):
    filled(tmp_path)
    out = tmp_path / "sweep"
    sweep(out, trials=9).enter()
    with pytest.raises(ValueError, match="a sweep with another search"):
        sweep(out, trials=3, seed=1).enter()
    other = {**SPACE, "estimator.warmup_rounds": Choice((1, 2))}
    with pytest.raises(ValueError, match="a sweep with another space"):
        replace(sweep(out, trials=3), space=other).enter()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(ValueError, match="holds something that is no sweep"):
        sweep(tmp_path / "mine").enter()


def test_what_was_written_is_known_after_a_kill_in_the_middle_of_a_line(tmp_path):
    path = tmp_path / "sweep.jsonl"
    ledger = Ledger(path)
    ledger.propose("t00", {"influence.damping": 0.1})
    ledger.propose("t01", {"influence.damping": 0.2})
    ledger.report("t00", progress(3, 0.5), {}, "t00")
    ledger.finish("t00", "stopped")
    with path.open("a") as file:
        file.write('{"event": "ended", "trial": "t0')
    again = Ledger(path)
    assert again.trials == ledger.trials
    assert again.open_of(["t00", "t01", "t02"]) == ["t01", "t02"]
    again.finish("t01", "failed", "why not")
    assert Ledger(path).trials["t01"].why == "why not"


def test_rounds_that_are_said_again_are_written_once(tmp_path):
    ledger = Ledger(tmp_path / "sweep.jsonl")
    ledger.propose("t00", {})
    for steps in (3, 6, 3, 6, 9):
        ledger.report("t00", progress(steps, 1 / steps), {}, "t00")
    assert [each.steps for each in ledger.trials["t00"].rounds] == [3, 6, 9]
    assert len(ledger.path.read_text().splitlines()) == 4


def test_who_takes_over_anothers_weights_goes_on_from_where_that_one_stood(tmp_path):
    ledger = Ledger(tmp_path / "sweep.jsonl")
    ledger.propose("t00", {"x": 1})
    for steps in (3, 6, 9):
        ledger.report("t00", progress(steps, 0.9), {"x": 1}, "t00")
    for steps in (3, 6):
        ledger.report("t00", progress(steps, 0.1), {"x": 2}, "t00.0")
    trial = Ledger(ledger.path).trials["t00"]
    assert (trial.home, trial.changes) == ("t00.0", {"x": 2})
    assert [each.loss for each in trial.rounds] == [0.1, 0.1]

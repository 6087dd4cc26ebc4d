"""How long steps take may choose the controls, once, and nothing else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from resolved import resolved
from tiny import CONFIG

from infaug.config import (
    AdversarialConfig,
    ClassifierConfig,
    EstimatorConfig,
    RoundsConfig,
    in_mode,
)
from infaug.data.problem import divide
from infaug.data.source import load
from infaug.experiment import controls, run
from infaug.experiment.controls import (
    Pace,
    choose_controls,
    choose_methods,
    estimated_seconds,
)
from infaug.experiment.plan import with_folds

FAST = Pace(base_step=1e-4, learned_step=2e-4, estimator_step=1e-4, image=1e-6)
SLOW = Pace(base_step=20.0, learned_step=40.0, estimator_step=20.0, image=1e-3)
OPEN = replace(CONFIG, controls="auto")


def choice_at(pace: Pace, monkeypatch, workers: int = 1) -> tuple[str, str]:
    monkeypatch.setattr(controls, "measure", lambda *_: pace)
    config = resolved(OPEN)
    return choose_controls(config, load(config.data), torch.device("cpu"), workers)


def test_full_controls_if_they_take_under_half_an_hour_else_quick(monkeypatch):
    assert choice_at(FAST, monkeypatch)[0] == "full"
    chosen, why = choice_at(SLOW, monkeypatch)
    assert chosen == "quick"
    assert "minutes with full controls" in why
    assert "running quick" in why


def methods_at(pace: Pace, minutes: float):
    config = replace(OPEN, minutes=minutes, rounds=RoundsConfig())
    source = load(config.data)
    config = with_folds(replace(config, data=replace(config.data, folds=5)), source)
    splits = divide(source, config.data)
    return choose_methods(resolved(config), splits, pace, 1, fewer_folds=True)


def test_a_budget_is_kept_by_fewer_methods_then_steps_then_folds():
    pace = replace(FAST, base_step=0.02, learned_step=0.02, estimator_step=0.02)
    ample, _ = methods_at(pace, 500)
    some, why = methods_at(pace, 10)
    assert set(some.methods) < set(ample.methods)
    assert some.rounds.classifier_steps < ample.rounds.classifier_steps
    assert "no time for" in why
    few, why = methods_at(replace(pace, base_step=0.3), 20)
    assert (few.data.folds, few.seeds) == (3, 3)
    assert "3 folds in place of 5" in why
    _, why = methods_at(replace(pace, base_step=50), 20)
    assert "longer than --minutes 20" in why


@pytest.mark.parametrize("mode", ["iclr", "cvpr"])
def test_the_papers_modes_leave_the_choice_to_the_clock_too(mode, monkeypatch):
    monkeypatch.setattr(controls, "measure", lambda *_: FAST)
    config = resolved(in_mode(OPEN, mode))
    source = load(config.data)
    assert choose_controls(config, source, torch.device("cpu"), 1)[0] == "full"


def test_many_workers_take_less_time(monkeypatch):
    assert choice_at(SLOW, monkeypatch, workers=10)[0] == "full"


def test_the_estimate_counts_every_step_of_every_cell():
    config = resolved(replace(CONFIG, methods=("base", "learned"), seeds=2))
    splits = divide(load(config.data), config.data)
    pace = Pace(base_step=1.0, learned_step=100.0, estimator_step=1e4, image=0.0)
    # Two rounds of six steps of F; E learns after the first, for four steps.
    assert estimated_seconds(config, splits, pace) == 2 * (12 + 1200 + 4e4)
    config = replace(config, methods=("bilevel_learned", "reweighted"))
    pace = replace(pace, lookahead_step=1e5)
    assert estimated_seconds(config, splits, pace) == 2 * (1200 + 4e5 + 12)


def test_what_frozen_layers_make_of_views_is_counted_once():
    """Whatever the number of trainings: they share it."""
    config = resolved(replace(CONFIG, methods=("base", "pooled"), seeds=3))
    splits = divide(load(config.data), config.data)
    pace = replace(SLOW, image=1.0, frozen_step=0.0)
    assessed = config.rounds.rounds * len(splits.selection) + len(splits.test)
    sets = (splits.train, splits.influence, splits.selection, splits.test)
    draws = config.classifier.frozen_views * sum(len(each) for each in sets)
    assert estimated_seconds(config, splits, pace) == 6 * assessed + draws


def test_real_steps_are_timed():
    config = resolved(CONFIG)
    splits = divide(load(config.data), config.data)
    pace = controls.measure(config, splits, torch.device("cpu"))
    assert pace.lookahead_step is None
    assert min(seconds for seconds in vars(pace).values() if seconds is not None) > 0
    named = replace(config, methods=("bilevel_learned",))
    ahead = controls.measure(named, splits, torch.device("cpu")).lookahead_step
    assert ahead is not None
    assert ahead > 0


def test_of_large_batches_as_much_is_timed_as_32_large_images_have():
    config = resolved(
        replace(
            CONFIG,
            classifier=ClassifierConfig(batch_size=4096, batch_groups=128),
            estimator=EstimatorConfig(batch_size=256),
            adversarial=AdversarialConfig(batch_size=128),
        )
    )
    few = controls._with_few_images(config, 100)
    assert (few.classifier.batch_size, few.classifier.batch_groups) == (96, 3)
    assert few.estimator.batch_size == 99
    fewest = controls._with_few_images(config, 20)
    assert (fewest.classifier.batch_size, fewest.classifier.batch_groups) == (20, 1)
    whole = controls._with_few_images(config, 5000).classifier
    assert (whole.batch_size, whole.batch_groups) == (4096, 128)


def test_steps_of_few_images_stand_for_those_of_all(monkeypatch):
    config = resolved(replace(CONFIG, methods=("base_learned",)))
    splits = divide(load(config.data), config.data)
    monkeypatch.setattr(controls, "_seconds_a_step", lambda _: 1.0)
    monkeypatch.setattr(controls, "TIMED_PIXELS", 4 * 16 * 16)
    pace = controls.measure(config, splits, torch.device("cpu"))
    assert pace.base_step == config.classifier.batch_size / 4


@pytest.mark.parametrize("pace", [FAST, SLOW])
def test_the_folder_keeps_the_choice_and_a_resumed_run_does_not_choose_again(
    pace, tmp_path: Path, monkeypatch
):
    chosen = "full" if pace is FAST else "quick"
    monkeypatch.setattr(controls, "measure", lambda *_: pace)

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "run_planned", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.run(OPEN, tmp_path / "run", shown=False)
    kept = [json.loads((tmp_path / "run" / f"{n}.json").read_text())["controls"]
            for n in ("asked", "config")]  # fmt: skip
    assert kept == ["auto", chosen]

    monkeypatch.setattr(run, "choose_controls", interrupted)
    seen = []
    monkeypatch.setattr(run, "run_planned", lambda cells, *_, **__: seen.extend(cells))
    monkeypatch.setattr(run, "summarise", lambda *_: {})
    run.run(OPEN, tmp_path / "run", shown=False)
    assert any(cell.candidate for cell in seen) == (chosen == "full")

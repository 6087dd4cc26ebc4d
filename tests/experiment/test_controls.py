"""How long steps take may choose the controls, once, and nothing else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from resolved import resolved
from tiny import CONFIG

from infaug.config import (
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

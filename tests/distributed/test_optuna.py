"""Optuna proposes from what the ledger knows; without it the remedy is named."""

import sys
from dataclasses import replace

import pytest
from tiny import CONFIG

from infaug.config import SweepConfig
from infaug.experiment.sweep.changes import propose
from infaug.experiment.sweep.ledger import Progress
from infaug.experiment.sweep.plan import Sweep
from infaug.experiment.sweep.space import Between, Choice

pytest.importorskip("ray")
SPACE = {
    "estimator.learning_rate": Between(1e-4, 1e-2, log=True),
    "estimator.warmup_rounds": Choice((1, 2, 3)),
}
RATE = SPACE["estimator.learning_rate"]


def searcher(plan):
    from infaug.distributed.sweep_schedulers import OptunaSearcher

    return OptunaSearcher(plan, plan.ledger(), [])


@pytest.fixture
def plan(tmp_path):
    return Sweep(config=CONFIG, how=SweepConfig(), space=SPACE, out=tmp_path)


def test_without_optuna_the_extra_is_named(monkeypatch, plan):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ValueError, match=r"pip install 'infaug\[optuna\]'"):
        searcher(plan)


def test_a_continued_sweep_asks_the_same_and_learns_from_what_ended(plan):
    pytest.importorskip("optuna")
    ledger = plan.ledger()
    for number in range(1, 16):
        name = f"t{number:02d}"
        changes = propose(name, SPACE, CONFIG, 0)
        ledger.propose(name, changes)
        place = RATE.place(changes["estimator.learning_rate"])
        for steps, loss in ((3, 2 + place), (6, place)):
            progress = Progress(steps=steps, loss=loss, top1=90.0, seconds=1.0)
            ledger.report(name, progress, changes, name)
        if number < 15:
            ledger.finish(name, "completed" if number % 3 else "stopped")
    first = searcher(plan).ask()
    assert first == searcher(plan).ask()
    assert all(first[name] in SPACE[name] for name in SPACE)
    # The loss grows with the learning rate: proposals lie in the lower half.
    seeds = [replace(plan, how=replace(plan.how, seed=s)) for s in range(5)]
    rates = [searcher(each).ask()["estimator.learning_rate"] for each in seeds]
    assert sum(map(RATE.place, rates)) / len(rates) < 0.4

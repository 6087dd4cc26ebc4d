"""Sweeps for tests: a space, trials as a ledger would know them."""

from dataclasses import replace
from pathlib import Path

from tiny import CONFIG

from infaug.config import SweepConfig
from infaug.experiment.sweep.ledger import Progress, Tried
from infaug.experiment.sweep.plan import Sweep
from infaug.experiment.sweep.space import Between, Choice, Distribution

ROUNDS = replace(CONFIG.rounds, rounds=4, classifier_steps=3, estimator_steps=2)
SMALL = replace(CONFIG, rounds=ROUNDS)
SPACE: dict[str, Distribution] = {
    "estimator.learning_rate": Between(1e-4, 1e-2, log=True),
    "influence.damping": Between(1e-3, 1e-1, log=True),
    "estimator.warmup_rounds": Choice((1, 2, 3)),
}


def sweep(out: Path, **how) -> Sweep:
    return Sweep(config=SMALL, how=SweepConfig(**how), space=SPACE, out=out)


def progress(steps: int, loss: float, top1: float = 90.0) -> Progress:
    return Progress(steps=steps, loss=loss, top1=top1, seconds=1.0)


def tried(name: str, losses: list[float], end: str | None = "completed", **changes):
    """A trial that reported a loss every three steps."""
    trial = Tried(name, changes, name, end=end)
    trial.rounds = [progress(3 * k, loss) for k, loss in enumerate(losses, start=1)]
    return trial

"""A cluster for tests of sweeps, and a sweep of trials that take seconds."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tiny import CONFIG

from infaug.config import SweepConfig
from infaug.experiment.sweep.plan import Sweep
from infaug.experiment.sweep.space import Between, Choice
from infaug.record.journal import read_lines

if TYPE_CHECKING:
    from infaug.distributed.sweep_trial import Capacity

ROUNDS = replace(CONFIG.rounds, rounds=4, classifier_steps=3, estimator_steps=2)
SPACE = {
    "estimator.learning_rate": Between(1e-4, 1e-2, log=True),
    "estimator.warmup_rounds": Choice((0, 1, 2)),
    "transform.tau_size": Choice((4, 8)),
}


@contextmanager
def two_cores() -> "Iterator[Capacity]":
    """Ray on this machine; two trials at a time."""
    import ray

    from infaug.distributed.local import start_here
    from infaug.distributed.sweep import SETTINGS, Capacity

    os.environ.update(SETTINGS)
    start_here(num_cpus=2, log_to_driver=False, include_dashboard=True)
    try:
        yield Capacity(at_a_time=2)
    finally:
        ray.shutdown()


def planned(out: Path, **how) -> Sweep:
    plan = Sweep(
        config=replace(CONFIG, rounds=ROUNDS), how=SweepConfig(**how), space=SPACE,
        out=out,
    )  # fmt: skip
    plan.enter()
    return plan


def ended(plan: Sweep) -> dict[str, str]:
    """How each trial ended; every one has ended once."""
    lines = read_lines(plan.out / "sweep.jsonl")
    ends = [(x["trial"], x["end"]) for x in lines if x["event"] == "ended"]
    assert len(dict(ends)) == len(ends), "a trial ended twice"
    return dict(ends)

"""Settings of the learned augmentation, searched for on the selection split.

24 trials with ASHA, then the best and the first settings on five fresh seeds of the
selection split; the test split is looked at once, for the best. The first trial has the
settings that `infaug fit` would have. The same command again continues what was killed:
every trial ends exactly once. Flags are those of `infaug sweep`.

    python ray_jobs/sweep.py                           # digits, used rotated 40 degrees
    python ray_jobs/sweep.py --data mnist --data.source FOLDER
    python ray_jobs/sweep.py --data cifar10 --data.source FOLDER --gpus-per-trial 0.5
    python ray_jobs/sweep.py --smoke                   # four trials of a few steps

Cost: digits under 15 minutes on 2 CPU cores (estimate).
"""

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from infaug.cli.sweep import Sweep, parse_sweep, sweep
from infaug.cli.terminal import guarded
from infaug.config import (
    DataConfig,
    EstimatorConfig,
    RoundsConfig,
    RunConfig,
    ShiftConfig,
    SweepConfig,
)
from infaug.experiment.sweep.changes import DEFAULT_SPACE
from infaug.experiment.sweep.space import Between, Choice, Distribution


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What trials begin from, and what is searched."""

    config: RunConfig
    space: dict[str, Distribution]


PROBLEMS = {
    # 480 steps of F: refreshed 16, 8 or 4 times.
    "digits": Problem(
        config=RunConfig(
            data=DataConfig(
                source="digits",
                labels=300,
                target=200,
                shift=ShiftConfig(rotate_deg=40),
            ),
            rounds=RoundsConfig(rounds=8, classifier_steps=60, estimator_steps=30),
        ),
        space={**DEFAULT_SPACE, "refresh_steps": Choice((30, 60, 120))},
    ),
    "mnist": Problem(
        config=RunConfig(
            data=DataConfig(labels=600, target=100, shift=ShiftConfig(rotate_deg=40))
        ),
        space={
            **DEFAULT_SPACE,
            "refresh_steps": Choice((50, 100, 300)),
            "mode": Choice(("online", "iclr", "cvpr")),
        },
    ),
    # Colour images are small objects: less bending, and more of them.
    "cifar10": Problem(
        config=RunConfig(
            data=DataConfig(labels=1000, target=1000),
            estimator=EstimatorConfig(batch_size=128),
        ),
        space={
            **DEFAULT_SPACE,
            "field_strength": Between(0.1, 0.8),
            "refresh_steps": Choice((50, 100, 300)),
        },
    ),
}
SMOKE = RoundsConfig(rounds=4, classifier_steps=6, estimator_steps=3)


def main() -> int:
    """Search, with the data set's own space."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--data", choices=list(PROBLEMS), default="digits")
    parser.add_argument("--smoke", action="store_true")
    own, argv = parser.parse_known_args()
    problem, how, confirm = PROBLEMS[own.data], SweepConfig(), 5
    config, space = problem.config, problem.space
    if own.smoke:
        config = replace(config, rounds=SMOKE)
        how, confirm = SweepConfig(trials=4), 1
        space = {k: v for k, v in space.items() if k != "refresh_steps"}
    if config.data.source != own.data and "--data.source" not in " ".join(argv):
        raise ValueError(f"--data.source is needed: a folder with {own.data}'s images")
    out = Path(f"runs/sweep-{own.data}")
    default = Sweep(out=out, run=config, sweep=how, confirm=confirm)
    return sweep(parse_sweep(argv, default, "sweep.py"), space)


if __name__ == "__main__":
    sys.exit(guarded(main))

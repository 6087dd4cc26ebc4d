r"""Settings of the learned augmentation, searched for on the selection split.

24 trials with ASHA, then the best and the first settings on five fresh seeds of the
selection split; the test split is looked at once, for the best. The first trial has the
settings that `infaug fit` would have. The same command again continues what was killed:
every trial ends exactly once. Flags are those of `infaug sweep`.

    python ray_jobs/sweep.py                           # digits, used rotated 40 degrees
    python ray_jobs/sweep.py mnist --data FOLDER
    python ray_jobs/sweep.py cifar10 --data FOLDER --gpus-per-trial 0.5
    python ray_jobs/sweep.py imagenet --plan           # GPU-hours on stated machines
    python ray_jobs/sweep.py imagenet --data FOLDER --out /shared/sweep \
        --workers 4 --workers-per-trial 2..8 --gpus-per-trial 1
    python ray_jobs/sweep.py --smoke                   # four trials of a few steps

ImageNet is searched on a ladder: 100 classes at 64 px for 60 epochs, the same at 128
px, all 1,000 at 224 px for 30 epochs, and then `imagenet.py`'s whole recipe. How well
ranks on one agree with those on the next is printed; `--sweep.ladder` names other
problems, `--sweep.worker-hours` is a budget. Not run here.

Cost: digits under 15 minutes on 2 CPU cores (estimate).
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import imagenet

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
    """What trials begin from, what is searched, and cheaper problems."""

    config: RunConfig
    space: dict[str, Distribution]
    ladder: tuple[str, ...] = ()


# 100 classes, a tenth of everything; batches of 1,024 at the rate of the linear rule.
FEW = (
    "data.classes=100,data.target=5500,classifier.batch_size=1024,"
    "classifier.batch_groups=32,classifier.learning_rate=0.4,rounds.rounds=60,"
    "rounds.classifier_steps=119"
)
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
    "imagenet": Problem(
        config=imagenet.CONFIG,
        space=DEFAULT_SPACE,
        ladder=(
            f"data.image_size=64,{FEW}",
            f"data.image_size=128,{FEW}",
            "rounds.rounds=30",
        ),
    ),
}
SMOKE = RoundsConfig(rounds=4, classifier_steps=6, estimator_steps=3)


def main() -> int:
    """Search, with the data set's own space."""
    is_named = len(sys.argv) > 1 and not sys.argv[1].startswith("-")
    name, argv = sys.argv[1] if is_named else "digits", sys.argv[1 + is_named :]
    if name not in PROBLEMS:
        raise ValueError(f"there is no problem {name!r}: use {', '.join(PROBLEMS)}")
    problem, confirm = PROBLEMS[name], 5
    config, space = problem.config, problem.space
    how = SweepConfig(ladder=problem.ladder)
    if "--smoke" in argv:
        argv.remove("--smoke")
        config = replace(config, rounds=SMOKE)
        how, confirm = SweepConfig(trials=4), 1
        space = {k: v for k, v in space.items() if k != "refresh_steps"}
    default = Sweep(out=f"runs/sweep-{name}", run=config, sweep=how, confirm=confirm)
    args = parse_sweep(argv, default, "sweep.py")
    if args.sweep.method != how.method:
        space = None
    if args.plan and name == "imagenet":
        for machines in imagenet.MACHINES:
            print(f"{machines}, at most 8 for a trial:", flush=True)
            sweep(args, space, gpu_hours(machines))
        return 0
    if name != "digits" and args.run.data.source == "digits" and not args.plan:
        raise ValueError(f"--data is needed: a folder with {name}'s images")
    return sweep(args, space)


def gpu_hours(machines: str) -> Callable[[RunConfig], float]:
    """What a training takes on eight at most of some machines, a GPU each."""
    workers, *_ = about = imagenet.MACHINES[machines]
    few = min(workers, 8)

    def hours(config: RunConfig) -> float:
        return few * sum(imagenet.forecast(config, few, *about[1:]).values())

    return hours


if __name__ == "__main__":
    sys.exit(guarded(main))

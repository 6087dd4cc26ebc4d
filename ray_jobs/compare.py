r"""Every rival in one harness: MNIST with 600 labels, CIFAR-10 with 1,000.

Problems x methods x paired seeds; every training is one thread's work and is appended
to a file of JSON lines when it ends. The same command again continues; problems whose
data is not named are shown as far as they are finished. Flags: those of `infaug
compare`, but for settings of the run.

    python ray_jobs/compare.py --data mnist=FOLDER --workers 2
    python ray_jobs/compare.py --data mnist=FOLDER --problems mnist_rotated --seeds 5
    python ray_jobs/compare.py --data cifar10=FOLDER --seeds 1 --workers 1 \
        --gpus-per-training 1
    python ray_jobs/compare.py --render                # what is finished
    python ray_jobs/compare.py --smoke --data mnist=digits

Papers, MNIST, 1 % of the labels: none 90.2, heuristic 95.9, proposed 96.7 (Lee et al.,
ICLR 2019 submission). Cost: MNIST, both problems, three seeds, 72 trainings of one to
two minutes: under 100 minutes on 2 CPU cores (estimate).
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from infaug.cli.compare import Compare, compare, parse_compare
from infaug.cli.terminal import guarded
from infaug.config import DataConfig, RoundsConfig, RunConfig, ShiftConfig, difference
from infaug.experiment.table_plan import Column

SMOKE = RoundsConfig(rounds=2, classifier_steps=6, estimator_steps=4)
PROBLEMS = {
    "mnist": Column(
        title="MNIST, 600 labels, used on images like those",
        config=RunConfig(data=DataConfig(source="mnist", labels=600, target=1000)),
    ),
    "mnist_rotated": Column(
        title="MNIST, 600 labels, used rotated by 40 degrees, 100 of those labelled",
        config=RunConfig(
            data=DataConfig(
                source="mnist", labels=600, target=100, shift=ShiftConfig(rotate_deg=40)
            )
        ),
    ),
    "cifar10": Column(
        title="CIFAR-10, 1,000 labels, used on images like those",
        config=RunConfig(data=DataConfig(source="cifar10", labels=1000, target=1000)),
    ),
}


def main() -> int:
    """Run what is missing of the problems whose data is named; show all.

    Raises:
        ValueError: for a setting of the run: the problems have their own.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    names = list(PROBLEMS)
    parser.add_argument("--problems", nargs="+", choices=names, default=names)
    parser.add_argument("--smoke", action="store_true", help="few steps, one seed")
    own, argv = parser.parse_known_args()
    out = Path("runs/compare")
    default = Compare(out=out, results=Path("docs/results/mnist.jsonl"))
    args = parse_compare(argv, default, "compare.py")
    if changes := difference(RunConfig(), replace(args.run, methods=(), seeds=3)):
        raise ValueError(f"these problems have settings of their own: {changes[0]}")
    columns = [PROBLEMS[name] for name in own.problems]
    if own.smoke:
        columns = [smoke(column) for column in columns]
        run = replace(args.run, seeds=1)
        args = replace(args, run=run, results=None, out=args.out / "smoke")
    args = replace(args, given=tuple(sys.argv[1:]))
    return compare(args, columns, "python ray_jobs/compare.py")


def smoke(column: Column) -> Column:
    """The same with few images and steps, so that digits can stand in."""
    data = replace(column.config.data, labels=300, target=100)
    config = replace(column.config, data=data, rounds=SMOKE)
    return replace(column, config=config)


if __name__ == "__main__":
    sys.exit(guarded(main))

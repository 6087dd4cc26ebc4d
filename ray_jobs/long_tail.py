"""Rotated long-tailed MNIST: does what large classes teach F reach small ones?

Every image of every split is turned by a random angle, once. Training classes fall from
some 5,800 images to 58 (exponential, ratio 100); the splits that drive, choose and test
are balanced. All methods have the same F, steps, two views of every image and base
augmentation (rotation by up to 20 degrees and the like):

    plain        as the images come
    drs          class-balanced sampling in the last fifth of the steps
    git          drs, small classes through a generator fitted to all images
    infaug       E and G learn on a balanced influence split of 700 images
    infaug_drs   both
    pooled       plain, with those 700 images in the training set

The eKLD of a class is the mean KL between F's predictions for a test image and for the
same one turned otherwise (Zhou et al., ICLR 2022): it grows as classes get smaller.

    python ray_jobs/long_tail.py --data FOLDER --workers 2
    python ray_jobs/long_tail.py --render       # what is finished, and the picture

Finished trainings are lines of --out and are skipped, unfinished ones go on from their
last checkpoint; the fit of GIT begins again if it is cut short, and is kept once it is
done.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean

from infaug.cli.terminal import guarded
from infaug.config import (
    DataConfig,
    GitConfig,
    NuisanceConfig,
    RoundsConfig,
    RunConfig,
    TailConfig,
)
from infaug.experiment.grid_run import Site
from infaug.experiment.results import Record, Results
from infaug.experiment.tail_run import run_tail_training, run_tail_trainings
from infaug.experiment.tail_table import classes_table, points, tail_table
from infaug.experiment.tail_training import (
    METHODS,
    TailTraining,
    recorded,
    tail_training,
)
from infaug.record.journal import read_lines

CONFIG = RunConfig(
    data=DataConfig(
        source="mnist",
        target=1000,
        tail=TailConfig(kind="exponential", ratio=100),
        nuisance=NuisanceConfig(kind="rotation"),
    ),
    rounds=RoundsConfig(rounds=15, classifier_steps=150),
)
GIT = GitConfig()
SMOKE = RunConfig(
    data=DataConfig(
        source="digits",
        target=100,
        tail=TailConfig(kind="exponential", ratio=10),
        nuisance=NuisanceConfig(kind="rotation"),
    ),
    rounds=RoundsConfig(rounds=2, classifier_steps=10, estimator_steps=5),
)
SMOKE_GIT = GitConfig(width=4, steps=5, batch_size=4, threshold=50)


def main() -> int:
    """Run what is missing, then print the tables and draw the picture."""
    args = parse(sys.argv[1:])
    config, git = (SMOKE, SMOKE_GIT) if args.smoke else (CONFIG, GIT)
    trainings = {
        name: [tail_training(METHODS[name], s, config, git) for s in range(args.seeds)]
        for name in args.methods
    }
    if not args.render:
        run_missing(args, [each for seeds in trainings.values() for each in seeds])
    done = {recorded(record): record for record in read_lines(args.out)}
    found = {
        name: [done[training] for training in seeds if training in done]
        for name, seeds in trainings.items()
    }
    print(tail_table(found))
    for name in ("test_by_class", "ekld"):
        print("", classes_table(found, name), sep="\n")
    draw({name: records for name, records in found.items() if records}, args.figure)
    return 0


def run_missing(args: argparse.Namespace, trainings: Sequence[TailTraining]) -> None:
    """Run the trainings that are not in the file, appending each as it ends."""
    done = {recorded(record) for record in read_lines(args.out)}
    missing = [training for training in trainings if training not in done]
    # What takes longest begins first.
    missing.sort(key=lambda training: (training.training.seed, training.git is None))
    print(f"{len(missing)} of {len(trainings)} trainings to run", file=sys.stderr)
    results = Results(args.out)
    for record in run(missing, args):
        results.add(record)
        words = f"{record['method']['name']} seed {record['seed']}"
        said = f"{words}: balanced {record['test_balanced']:.2f} %"
        print(f"{said} in {record['seconds']:.0f} s", file=sys.stderr, flush=True)


def run(
    trainings: Sequence[TailTraining], args: argparse.Namespace
) -> Iterable[Record]:
    """Here one after another, or on Ray some at a time."""
    site = Site(work=args.work.absolute(), places={"mnist": args.data})
    if not args.workers or not trainings:
        return run_tail_trainings(trainings, site, shown=True)
    from infaug.distributed.tasks import in_tasks  # imports ray

    work = partial(run_tail_training, site=site, shown=False)
    return (found for _, found in in_tasks(work, trainings, at_a_time=args.workers))


PANELS = {
    "ekld": "eKLD, nats (lower is more invariant)",
    "test_by_class": "top-1 of the class, percent",
}


def draw(found: dict[str, list[Record]], path: Path) -> None:
    """EKLD and accuracy against class size, a line for each method that was run.

    A line goes through the mean at each class size; the points are drawn beneath.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not found:
        return
    figure = Figure(figsize=(10, 4.2), layout="compressed")
    FigureCanvasAgg(figure)
    for axis, (name, title) in zip(figure.subplots(1, 2), PANELS.items(), strict=True):
        for number, (method, records) in enumerate(found.items()):
            by_size: dict[int, list[float]] = {}
            for size, value in points(records, name):
                by_size.setdefault(size, []).append(value)
                axis.scatter(size, value, s=9, alpha=0.4, color=f"C{number}")
            means = [(size, fmean(values)) for size, values in sorted(by_size.items())]
            axis.plot(*zip(*means, strict=True), color=f"C{number}", label=method)
        axis.set(xscale="log", xlabel="training images of the class", ylabel=title)
        axis.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=8)
    figure.suptitle("rotated long-tailed images", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    print(f"wrote {path}", file=sys.stderr)


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder with MNIST's train and test.parquet")
    names = list(METHODS)
    parser.add_argument("--methods", nargs="+", choices=names, default=names)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--workers", type=int, default=0, help="trainings at once on Ray"
    )
    out = Path("docs/results/long_tail.jsonl")
    parser.add_argument("--out", type=Path, default=out)
    figure = Path("docs/figures/long_tail.png")
    parser.add_argument("--figure", type=Path, default=figure)
    parser.add_argument("--work", type=Path, default=Path("runs/long_tail"))
    parser.add_argument("--render", action="store_true", help="run nothing, only print")
    parser.add_argument("--smoke", action="store_true", help="digits, few steps")
    args = parser.parse_args(argv)
    if args.smoke:
        args.data = "digits"
    elif args.data is None and not args.render:
        parser.error("--data is needed: `infaug data prepare mnist FOLDER` makes it")
    return args


if __name__ == "__main__":
    sys.exit(guarded(main))

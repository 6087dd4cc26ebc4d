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
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import mean

from git_networks import GitConfig
from tail_methods import METHODS, recorded_tail, run_tail_training, tail_training

from infaug.cli.compare import run_missing, scored
from infaug.cli.terminal import guarded
from infaug.config import (
    DataConfig,
    NuisanceConfig,
    RoundsConfig,
    RunConfig,
    TailConfig,
)
from infaug.experiment.table_plan import Record, Results

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
    """Run what is missing, then print the table and draw the picture."""
    args = parse(sys.argv[1:])
    config, git = (SMOKE, SMOKE_GIT) if args.smoke else (CONFIG, GIT)
    trainings = {
        name: [tail_training(METHODS[name], s, config, git) for s in range(args.seeds)]
        for name in args.methods
    }
    results = Results(args.out, recorded_tail)
    if not args.render:
        plan = [each for seeds in trainings.values() for each in seeds]
        # What takes longest begins first.
        plan.sort(key=lambda each: (each.training.seed, each.git is None))
        places, work = {"mnist": args.data}, args.work.absolute()
        run_missing(
            plan,
            results,
            partial(run_tail_training, work=work, places=places),
            workers=args.workers,
            describe=lambda r: (
                f"{r['tail_method']['name']}: {scored(r, 'test_balanced')}"
            ),
        )
    found = {
        name: [record for each in seeds if (record := results.get(each))]
        for name, seeds in trainings.items()
    }
    print(tail_table(found))
    draw({name: records for name, records in found.items() if records}, args.figure)
    return 0


GROUPS = (("large", 0, 1 / 3), ("middle", 1 / 3, 2 / 3), ("small", 2 / 3, 1))


def tail_table(found: Mapping[str, Sequence[Record]]) -> str:
    """Markdown: balanced accuracy, and accuracy and eKLD by thirds of the classes.

    Classes in order of size, the first third being the largest. Numbers are means over
    the classes of a third, then over seeds.
    """
    thirds = [f"{name} {what}" for what in ("top-1", "eKLD") for name, _, _ in GROUPS]
    titles = ["method", "balanced top-1", *thirds, "seconds", "seeds"]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for method, records in found.items():
        if not records:
            trainings = ["not run"] + [""] * (len(titles) - 2)
        else:
            seconds = mean(r["seconds"] + r["git_seconds"] for r in records)
            trainings = [
                f"{mean(r['test_balanced'] for r in records):.1f}",
                *(f"{value:.1f}" for value in by_thirds(records, "test_by_class")),
                *(f"{value:.3f}" for value in by_thirds(records, "ekld")),
                f"{seconds:.0f}",
                str(len(records)),
            ]
        lines.append(f"| {method} | " + " | ".join(trainings) + " |")
    return "\n".join(lines)


def by_thirds(records: Sequence[Record], name: str) -> list[float]:
    """Mean of a quantity over the largest, middle and smallest third of classes."""
    found = []
    for _, low, high in GROUPS:
        values = []
        for record in records:
            sizes = record["sizes"]
            order = sorted(range(len(sizes)), key=lambda c, of=sizes: -of[c])
            part = order[round(low * len(order)) : round(high * len(order))]
            values.append(mean(record[name][c] for c in part))
        found.append(mean(values))
    return found


PANELS = {
    "ekld": "eKLD, nats (lower is more invariant)",
    "test_by_class": "top-1 of the class, percent",
}


def draw(found: dict[str, list[Record]], path: Path) -> None:
    """EKLD and accuracy against class size, a line for each method that was run.

    A line goes through the mean at each class size; the points are drawn beneath.
    """
    from matplotlib.figure import Figure

    if not found:
        return
    figure = Figure(figsize=(10, 4.2), layout="compressed")
    for axis, (name, title) in zip(figure.subplots(1, 2), PANELS.items(), strict=True):
        for number, (method, records) in enumerate(found.items()):
            by_size: dict[int, list[float]] = {}
            for record in records:
                for size, value in zip(record["sizes"], record[name], strict=True):
                    by_size.setdefault(size, []).append(value)
                    axis.scatter(size, value, s=9, alpha=0.4, color=f"C{number}")
            means = [(size, mean(values)) for size, values in sorted(by_size.items())]
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

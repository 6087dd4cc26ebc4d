"""Fourteen corruptions at five severities on the test images of a finished run.

    python ray_jobs/corruptions.py RUN
    python ray_jobs/corruptions.py RUN --methods base base_learned --seed 1

Prints top-1 by corruption and severity for each method and keeps it in RUN as
corruptions-METHOD-seedK.json. Methods of one seed see the same corrupted images.
Without --methods: the one that the verdict is about. Nothing may be chosen by these
numbers, so they are there only for runs that are finished.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from corruption_kinds import CORRUPTIONS, SEVERITIES, corrupt
from torch import Tensor

from infaug.cli.terminal import guarded
from infaug.data.share import local_part
from infaug.record.atomic import write_json
from infaug.record.folder import RunFolder
from infaug.training.alternation import assess
from infaug.trust.reload import reload
from infaug.world import World


def main() -> int:
    """Check each method, printing as they end."""
    args = parse(sys.argv[1:])
    for method in args.methods or [None]:
        found = check(args.run, method, args.seed)
        print(f"{method or 'learned method'}, seed {args.seed}", end="\n\n")
        print(table(found), end="\n\n", flush=True)
    return 0


def check(run: Path, method: str | None, seed: int) -> dict[str, Any]:
    """Top-1 in percent of a training's F: of clean images, by corruption, means."""
    if RunFolder(run).result() is None:
        raise ValueError(
            f"{run} is not finished, and test images are looked at once, at the end: "
            "continue it first"
        )
    finished = reload(run, method, seed)
    training, test = finished.training, local_part(finished.splits.test, World())

    def top1(images: Tensor) -> float:
        shown = replace(test, images=images).to(training.device)
        return assess(training, shown).accuracy

    by_severity = {
        name: [
            top1(corrupt(test.images, name, severity, training.seed, "corruption"))
            for severity in SEVERITIES
        ]
        for name in CORRUPTIONS
    }
    means = {name: fmean(values) for name, values in by_severity.items()}
    found = {
        "clean": top1(test.images),
        "top1": by_severity,
        "means": means,
        "mean": fmean(means.values()),
    }
    write_json(run / f"corruptions-{finished.name}.json", found)
    return found


def table(found: dict[str, Any]) -> str:
    """Markdown: a line for each corruption, the mean and clean images last."""
    lines = [
        "| top-1, percent | " + " | ".join(str(s) for s in SEVERITIES) + " | mean |",
        "|---" * (len(SEVERITIES) + 2) + "|",
    ]
    for name, values in found["top1"].items():
        shown = " | ".join(f"{value:.1f}" for value in values)
        lines.append(f"| {name} | {shown} | {found['means'][name]:.1f} |")
    gap = " |" * len(SEVERITIES)
    ends = (("all", found["mean"]), ("clean", found["clean"]))
    return "\n".join([*lines, *(f"| {name} |{gap} {x:.1f} |" for name, x in ends)])


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--methods", nargs="+", help="methods of the run")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(guarded(main))

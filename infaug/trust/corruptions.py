"""How a finished run's F does on corrupted test images.

A corruption is no shift that the experiment knew of: nothing may be chosen by these
numbers, so they are there only for runs that are finished.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from infaug.data.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from infaug.record.atomic import write_json
from infaug.record.folder import RunFolder
from infaug.training.alternation import assess
from infaug.trust.reload import Finished, reload


@dataclass(frozen=True)
class Robustness:
    """Top-1 in percent: of clean images, and by corruption and severity 1 to 5."""

    clean: float
    top1: dict[str, tuple[float, ...]]

    @property
    def means(self) -> dict[str, float]:
        """By corruption, over severities."""
        return {name: sum(found) / len(found) for name, found in self.top1.items()}

    @property
    def mean(self) -> float:
        """Over all corruptions and severities."""
        return sum(self.means.values()) / len(self.means)

    def to_dict(self) -> dict[str, Any]:
        """For a file."""
        return {**asdict(self), "means": self.means, "mean": self.mean}


def check_run(run: Path, row: str | None = None, seed: int = 0) -> Robustness:
    """The whole suite on a training of a finished experiment, kept in the run's folder."""
    folder = RunFolder(run)
    if folder.result() is None:
        raise ValueError(
            f"{run} is not finished, and test images are looked at once, at the end: "
            "continue it first"
        )
    finished = reload(run, row, seed)
    found = check_corruptions(finished)
    write_json(run / f"corruptions-{finished.name}.json", found.to_dict())
    return found


def check_corruptions(
    finished: Finished, names: Iterable[str] = tuple(CORRUPTIONS)
) -> Robustness:
    """Accuracy of a training's F on its test images under each corruption.

    The corruptions of an image depend on the seed alone: methods of a seed are
    shown the same ones.
    """
    test, training = finished.splits.test, finished.training

    def top1(name: str, severity: int) -> float:
        images = corrupt(test.images, name, severity, training.seed, "corruption")
        return assess(
            training, replace(test, images=images).to(training.device)
        ).accuracy

    return Robustness(
        clean=assess(training, test.to(training.device)).accuracy,
        top1={name: tuple(top1(name, s) for s in SEVERITIES) for name in names},
    )


def corruptions_table(found: Robustness) -> str:
    """Markdown: a line for each corruption, the mean last."""
    lines = [
        "| top-1, percent | " + " | ".join(str(s) for s in SEVERITIES) + " | mean |",
        "|---" * (len(SEVERITIES) + 2) + "|",
    ]
    means = found.means
    for name, values in found.top1.items():
        shown = " | ".join(f"{value:.1f}" for value in values)
        lines.append(f"| {name} | {shown} | {means[name]:.1f} |")
    clean, mean = f"{found.clean:.1f}", f"{found.mean:.1f}"
    gap = " |" * len(SEVERITIES)
    return "\n".join([*lines, f"| all |{gap} {mean} |", f"| clean |{gap} {clean} |"])

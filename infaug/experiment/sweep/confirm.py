"""Is the best trial better than what the sweep began with? Fresh seeds say.

The best of many is also the luckiest. So it and the first settings are trained on seeds
that no trial had, and compared on the selection split, paired by seed. Test images are
looked at once, afterwards, for the best settings alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from statistics import mean
from typing import Any, Literal

from infaug.classify.evaluate import evaluate
from infaug.config import DataConfig
from infaug.data.images import Source
from infaug.data.source import load
from infaug.experiment.finished import finished_training
from infaug.experiment.sweep.held_out import images_of_test, without_test
from infaug.experiment.sweep.ledger import Progress
from infaug.experiment.sweep.plan import Sweep
from infaug.experiment.sweep.trial import run_trial
from infaug.experiment.verdict import Comparison, compare
from infaug.precision import dtype_of, pick_device
from infaug.record.folder import RunFolder

Side = Literal["best", "default"]


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """One side with one fresh seed."""

    side: Side
    seed: int

    def home(self, out: Path) -> Path:
        """Its run folder."""
        return out / "confirm" / f"{self.side}-seed{self.seed}"


def repeats(sweep: Sweep, count: int, *, is_default: bool) -> list[Repeat]:
    """Both sides on each fresh seed; one side if the best settings are the first."""
    sides: tuple[Side, ...] = ("best",) if is_default else ("best", "default")
    first = sweep.how.seed + 1
    seeds = range(first, first + count)
    return [Repeat(side=side, seed=seed) for seed in seeds for side in sides]


def run_repeat(
    repeat: Repeat, sweep: Sweep, changes: Mapping[str, Any], cache: Path | None
) -> Progress:
    """Train a side in full; what it found on the selection split."""
    own = changes if repeat.side == "best" else {}
    trial = replace(sweep.trial(own), seed=repeat.seed)
    told: list[Progress] = []
    home = repeat.home(sweep.out)
    home.parent.mkdir(parents=True, exist_ok=True)
    source = without_test(_loaded(sweep.config.data), sweep.config.data)
    run_trial(trial, source, home, cache, told.append)
    RunFolder(home).match_data(source.identity)  # what its F is loaded with
    return told[-1]


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """Both sides by seed, and how far the best is ahead."""

    seeds: list[int]
    best: list[Progress]
    default: list[Progress]
    ahead: Comparison | None
    """In nats of loss or points of accuracy, above 0 where the best settings are
    better; None if they are those that the sweep began with."""

    @property
    def words(self) -> str:
        """What fresh seeds say."""
        if self.ahead is None:
            return "no trial beat the settings that the sweep began with"
        c, number = self.ahead, len(self.seeds)
        if number < 2:
            word = "undecided"
        elif c.low > 0:
            word = "better"
        else:
            word = "worse" if c.high < 0 else "undecided"
        interval = f" ({c.low:+.4f} to {c.high:+.4f})" if number > 1 else ""
        return (
            f"{word}: on {number} fresh seeds of the selection split the best settings "
            f"are {c.difference:+.4f}{interval} ahead of those the sweep began with"
        )


def confirmed(sweep: Sweep, found: Mapping[Repeat, Progress]) -> Confirmed:
    """Put the repeats together; the interval is of 95 %, paired by seed."""
    sides: dict[str, list[Progress]] = {"best": [], "default": []}
    for repeat in sorted(found, key=lambda repeat: repeat.seed):
        sides[repeat.side].append(found[repeat])
    ahead = None
    if sides["default"]:
        merits = {
            side: [each.merit(sweep.how.objective) for each in told]
            for side, told in sides.items()
        }
        ahead = compare("best", "default", merits)
    seeds = sorted({repeat.seed for repeat in found})
    return Confirmed(
        seeds=seeds, best=sides["best"], default=sides["default"], ahead=ahead
    )


def score_on_test(sweep: Sweep, seeds: Sequence[int]) -> dict[str, Any]:
    """Accuracy and loss on test of the best settings' F, by fresh seed.

    The only place in a sweep that looks at test images; everything is chosen by now.
    """
    images = images_of_test(_loaded(sweep.config.data), sweep.config.data)
    images, device = images.to(pick_device()), pick_device()
    tops, losses = [], []
    for seed in seeds:
        folder = RunFolder(Repeat(side="best", seed=seed).home(sweep.out))
        training = finished_training(folder, sweep.how.row, seed)
        dtype = dtype_of(training.config.classifier.precision)
        network = training.classifier().to(device, dtype)
        found = evaluate(network, images.images, images.labels, dtype=dtype)
        tops.append(found.accuracy)
        losses.append(found.loss)
    return {
        "images": len(images), "seeds": list(seeds), "top1": tops, "loss": losses,
        "mean_top1": mean(tops), "mean_loss": mean(losses),
    }  # fmt: skip


@lru_cache(maxsize=1)
def _loaded(data: DataConfig) -> Source:
    return load(data)

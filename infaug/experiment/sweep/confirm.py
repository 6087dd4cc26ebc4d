"""Is the best trial better than what the sweep began with? Fresh seeds decide.

The best of many is also the luckiest. So it and the first settings are trained on seeds
that no trial had, and compared on the selection split, paired by seed. Test images are
set aside before a sweep begins, and looked at once, at its end, for the best settings.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from statistics import mean
from typing import Any, Literal

import torch
from jaxtyping import Int64
from torch import Tensor

from infaug.classify.evaluate import evaluate
from infaug.config import DataConfig
from infaug.data.dataset import Labelled, digests_of
from infaug.data.images import Source
from infaug.data.on_disk import ImageSet
from infaug.data.problem import altered, positions
from infaug.data.source import load
from infaug.experiment.finished import finished_training
from infaug.experiment.sweep.ledger import Progress
from infaug.experiment.sweep.plan import Sweep
from infaug.experiment.sweep.trial import run_trial
from infaug.experiment.verdict import Comparison, compare
from infaug.precision import dtype_of, pick_device
from infaug.record.folder import RunFolder, local_copy

Side = Literal["best", "default"]


@lru_cache(maxsize=1)
def _loaded(data: DataConfig) -> Source:
    return load(data)


@lru_cache(maxsize=1)
def source_of_trials(data: DataConfig) -> Source:
    """Images as trials see them; a process that runs several decodes them once."""
    return without_test(_loaded(data), data)


def without_test(source: Source, config: DataConfig) -> Source:
    """The source with an empty test split.

    Without a test split of its own, the images that `config.test` holds out for the
    first repetition are left out, whatever the repetition: so seeds that are compared
    later train on and choose by other images, but never by those of the last number.
    Nor by copies of them, unless `config.drop_duplicates` is off.
    """
    test, held = _test_of(source, config)
    known = set[bytes]()  # The pixels of images that are streamed are not.
    if config.drop_duplicates and isinstance(test, Labelled):
        known.update(digests_of(test.images))
    parts = {name: part for name, part in source.parts.items() if name != "test"}
    tested = "target" if source.is_tested_on_target else "train"
    kept = {
        name: _kept(part, held if name == tested else held[:0], known)
        for name, part in parts.items()
    }
    return replace(
        source,
        **{name: parts[name].part(at) for name, at in kept.items()},
        test=source.train.select(torch.arange(0)),
        names={
            name: [names[at] for at in kept[name].tolist()]
            for name, names in source.names.items()
            if name in kept and names
        },
    )


def images_of_test(source: Source, config: DataConfig) -> Labelled:
    """What `without_test` set aside, changed as test images are."""
    test, _ = _test_of(source, config)
    return altered(test.select_all(), "test", config)


def _test_of(
    source: Source, config: DataConfig
) -> tuple[ImageSet, Int64[Tensor, "test"]]:
    """The test images, and where among the others they lie."""
    if source.test is not None:
        return source.test, torch.arange(0)
    at = positions(source, config).test
    whole = source.target if source.is_tested_on_target else source.train
    assert whole is not None, "what is tested on is there"
    return whole.part(at), at


def _kept(
    part: ImageSet, held: Int64[Tensor, "test"], known: Collection[bytes]
) -> Int64[Tensor, "kept"]:
    is_kept = torch.ones(len(part.labels), dtype=torch.bool)
    is_kept[held] = False
    # The pixels of images that are streamed are not known.
    if known and isinstance(part, Labelled):
        copies = [digest in known for digest in digests_of(part.images)]
        is_kept[torch.tensor(copies, dtype=torch.bool)] = False
    return is_kept.nonzero().squeeze(1)


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """One side with one fresh seed."""

    side: Side
    seed: int

    def home(self, sweep: Sweep) -> Path | str:
        """Its run folder."""
        return sweep.place(f"confirm/{self.side}-seed{self.seed}")


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
    reports: list[Progress] = []
    home = repeat.home(sweep)
    source = source_of_trials(sweep.config.data)
    run_trial(trial, source, home, cache, reports.append)
    with local_copy(home) as path:
        RunFolder(path).match_data(source.identity)  # what its F is loaded with
    return reports[-1]


def confirmed(sweep: Sweep, found: Mapping[Repeat, Progress]) -> dict[str, Any]:
    """Both sides by seed, and how far the best is ahead, as result.json keeps it.

    "ahead" is in nats of loss or points of accuracy, above 0 where the best settings
    are better, with a 95 % interval paired by seed; None if they are those that the
    sweep began with.
    """
    sides: dict[str, list[Progress]] = {"best": [], "default": []}
    for repeat in sorted(found, key=lambda repeat: repeat.seed):
        sides[repeat.side].append(found[repeat])
    merits = {
        side: [each.merit(sweep.how.objective) for each in reports]
        for side, reports in sides.items()
    }
    c = compare("best", "default", merits) if sides["default"] else None
    return {
        "seeds": sorted({repeat.seed for repeat in found}),
        "words": _words(c),
        "ahead": c.to_dict() if c else None,
        **{side: [asdict(each) for each in reports] for side, reports in sides.items()},
    }


def _words(c: Comparison | None) -> str:
    """What fresh seeds say."""
    if c is None:
        return "no trial beat the settings that the sweep began with"
    word = "better" if c.low > 0 else "worse" if c.high < 0 else "undecided"
    interval = f" ({c.low:+.4f} to {c.high:+.4f})" if c.num_seeds > 1 else ""
    return (
        f"{word}: on {c.num_seeds} fresh seeds of the selection split the best "
        f"settings are {c.difference:+.4f}{interval} ahead of those the sweep began "
        "with"
    )


def score_on_test(sweep: Sweep, seeds: Sequence[int]) -> dict[str, Any]:
    """Accuracy and loss on test of the best settings' F, by fresh seed.

    The only place in a sweep that looks at test images; everything is chosen by now.
    """
    data, device = sweep.config.data, pick_device()
    images = images_of_test(_loaded(data), data).to(device)
    tops, losses = [], []
    for seed in seeds:
        folder = RunFolder(Repeat(side="best", seed=seed).home(sweep)).bring()
        training = finished_training(folder, sweep.how.method, seed)
        dtype = dtype_of(training.config.classifier.precision)
        network = training.classifier().to(device, dtype)
        found = evaluate(network, images.images, images.labels, dtype=dtype)
        tops.append(found.accuracy)
        losses.append(found.loss)
    return {
        "images": len(images), "seeds": list(seeds), "top1": tops, "loss": losses,
        "mean_top1": mean(tops), "mean_loss": mean(losses),
    }  # fmt: skip

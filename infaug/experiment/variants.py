"""Settings compared on development images: how defaults are chosen.

Development images are training images whose labels are not used, shifted as the test
images would be. Test images are not looked at, so a number from here may decide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from infaug.config import DataConfig, RunConfig, changed
from infaug.data.problem import Splits, altered, divide, positions
from infaug.data.source import Source
from infaug.experiment.execute import train_alone
from infaug.experiment.grid import GridTraining, grid_training
from infaug.experiment.plan import resolve_config
from infaug.experiment.results import Record, Results
from infaug.experiment.verdict import compare
from infaug.precision import pick_device
from infaug.randomness import generator
from infaug.record.folder import RunFolder
from infaug.training.methods import METHODS
from infaug.training.train import TrainingSpec

MOST_IMAGES = 5000


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A method with some settings changed; `changes` maps `part.field` to a value."""

    name: str
    method: str = "base_learned"
    changes: Mapping[str, Any]

    def training(self, config: RunConfig, seed: int) -> GridTraining:
        """This variant of a config, for one seed."""
        return grid_training(self.method, seed, changed(config, self.changes))


def develop(source: Source, config: DataConfig, seed: int) -> Splits:
    """The splits of a seed, development images in the place of test images.

    Raises:
        ValueError: if `config.labels` leaves no image over.
    """
    splits = divide(source, config, seed)
    at = positions(source, config, seed).unlabelled
    if len(at) == 0:
        raise ValueError(
            "data.labels uses every training image: lower it, what is left over is "
            "what variants are compared on"
        )
    seeded = replace(config, seed=config.seed + seed)
    shuffle = generator(seeded.seed, "development")
    order = torch.randperm(len(at), generator=shuffle)
    images = source.train.select(at[order[:MOST_IMAGES]])
    return replace(splits, test=altered(images, "test", seeded))


def run_variant(
    training: GridTraining, source: Source, folder: RunFolder, *, shown: bool
) -> Record:
    """Train a variant, or continue it in its folder, and assess it."""
    folder.enter(training.config)
    splits = develop(source, training.config.data, training.seed)
    config = resolve_config(training.config, splits.train.image_shape, pick_device())
    spec = TrainingSpec(
        method=METHODS[training.method], seed=training.seed, config=config
    )
    found = train_alone(spec, splits, folder, shown=shown)
    return {
        "key": training.key,
        "row": training.method,
        "seed": training.seed,
        "config": training.settings,
        "development_top1": found["test_top1"],
        "development_loss": found["test_loss"],
        "strength": found.get("strength", 1.0),
    }


def variants_table(
    variants: Sequence[Variant], config: RunConfig, seeds: int, results: Results
) -> str:
    """Markdown: each variant's accuracy, and its difference to the first one.

    Mean and standard deviation over seeds; the difference is paired by seed, with its
    95 % interval. A variant without all of its seeds is `not run`.
    """
    tops = {v.name: _tops(v, config, seeds, results) for v in variants}
    first = variants[0].name
    lines = [f"| | development top-1 | against {first} |", "|---|---|---|"]
    for name, values in tops.items():
        if values is None:
            lines.append(f"| {name} | not run | |")
            continue
        t = torch.tensor(values, dtype=torch.float64)
        spread = f" ± {float(t.std()):.1f}" if seeds > 1 else ""
        mean, against = float(t.mean()), _against(first, name, tops)
        lines.append(f"| {name} | {mean:.1f}{spread} | {against} |")
    return "\n".join(lines)


def _tops(
    variant: Variant, config: RunConfig, seeds: int, results: Results
) -> list[float] | None:
    records = [results.get(variant.training(config, seed)) for seed in range(seeds)]
    kept = [record["development_top1"] for record in records if record is not None]
    return kept if len(kept) == seeds else None


def _against(first: str, name: str, tops: Mapping[str, list[float] | None]) -> str:
    reference, values = tops[first], tops[name]
    if name == first or reference is None or values is None:
        return ""
    c = compare(name, first, {name: values, first: reference})
    interval = f" ({c.low:+.1f} to {c.high:+.1f})" if c.num_seeds > 1 else ""
    return f"{c.difference:+.1f}{interval}"

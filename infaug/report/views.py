"""Pictures of images before and after the learned augmentation."""

from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import Int64
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from safetensors.torch import load_file
from torch import Tensor

from infaug.augment.base import build_base
from infaug.augment.compose import Compose
from infaug.augment.learned import Learned
from infaug.config import RunConfig
from infaug.data.dataset import Labelled, to_float
from infaug.data.problem import Splits, load_splits
from infaug.data.stored import Stored
from infaug.estimate.learned_transform import LearnedTransform, build_transform
from infaug.randomness import Draws
from infaug.record.folder import RunFolder
from infaug.training.rows import Row, rows_of
from infaug.training.views import base_of
from infaug.types import Augment

NUM_IMAGES = 12
NUM_VIEWS = 3


def draw_views(run: Path) -> list[Path]:
    """One PNG for every learned row of a finished run; the files written.

    Columns are training images; rows are the image, three random base views, three
    learned views, and, last, images of the influence split: what E aims at.
    """
    folder = RunFolder(run)
    config = folder.config()
    splits = load_splits(config.data)
    drawn = []
    for row, state in learned_rows(folder, config):
        learned = Learned(load_transform(state, splits, config), config.estimator)
        path = run / f"views-{row.name}.png"
        base = build_base(base_of(row, config.rounds.base))
        _draw(row, splits, base, learned, path)
        drawn.append(path)
    return drawn


def learned_rows(
    folder: RunFolder, config: RunConfig
) -> Iterator[tuple[Row, dict[str, Tensor]]]:
    """Every finished learned row of seed 0, with the weights of its E and G."""
    for row in rows_of(config):
        weights = folder.training(row.name, 0).path / "transform.safetensors"
        if row.is_learned and weights.exists():
            yield row, load_file(weights)


def load_transform(
    state: dict[str, Tensor], splits: Splits, config: RunConfig
) -> LearnedTransform:
    """E and G of a finished row, in evaluation mode."""
    channels, height, width = splits.train.image_shape
    transform = build_transform(config.transform, channels, height, width, 0)
    transform.load_state_dict(state)
    return transform.eval()


def _draw(
    row: Row, splits: Splits, base: Augment, learned: Augment, path: Path
) -> None:
    shown = some_of_each_class(splits.train, NUM_IMAGES)
    x = to_float(splits.train.select(shown).images)
    parts = (base, learned) if row.learns_on_base else (learned,)
    draws = Draws.of_size(len(x), 0, "picture")
    lines = [("training image", x)]
    for name, augment in (("base", base), ("learned", Compose(*parts))):
        lines += [(name, augment(x, draws.fork(name, k))) for k in range(NUM_VIEWS)]
    aim = some_of_each_class(splits.influence, NUM_IMAGES)
    lines.append(("influence split", to_float(splits.influence.images[aim])))
    figure = Figure(figsize=(1 + 0.7 * len(x), 0.75 * len(lines)), layout="compressed")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(lines), len(x), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for (name, images), line in zip(lines, axes, strict=True):
        line[0].text(
            -0.15, 0.5, name, ha="right", va="center", transform=line[0].transAxes
        )
        for image, axis in zip(images, line, strict=False):
            pixels = image.permute(1, 2, 0).squeeze(-1)
            axis.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    figure.suptitle(f"{row.name}: images before and after", fontsize=10)
    figure.savefig(path, dpi=110)


def some_of_each_class(labelled: Labelled | Stored, num: int) -> Int64[Tensor, "n"]:
    """Positions of up to `num` images, classes in turn."""
    turn = torch.zeros_like(labelled.labels)
    for label in labelled.labels.unique():
        where = labelled.labels == label
        turn[where] = torch.arange(int(where.sum()), device=turn.device)
    order = torch.argsort(turn * labelled.num_classes + labelled.labels)
    return order[:num].sort().values

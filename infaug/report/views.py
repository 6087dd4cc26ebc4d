"""Images, flows and views as PNG: of an experiment, and of your own images."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from infaug.augment.base import build_base
from infaug.augment.compose import Compose
from infaug.augment.learned import Learned
from infaug.config import RunConfig
from infaug.data.dataset import Labelled, to_float
from infaug.data.decode import Encoded, UnreadableError, open_image
from infaug.data.names import SUFFIXES
from infaug.data.on_disk import OnDisk
from infaug.data.problem import Splits, load_splits
from infaug.data.tree import files_below
from infaug.estimate.learned_transform import LearnedTransform, build_transform
from infaug.export.images import pixels
from infaug.export.learned_augment import LearnedAugment
from infaug.randomness import Draws, generator
from infaug.record.folder import RunFolder
from infaug.report.figures import FLOW_COLOUR, plot_flow
from infaug.training.methods import Method, methods_of
from infaug.training.views import base_of
from infaug.types import Augment
from infaug.words import plural


def show_image(axis: Axes, image: Float[Tensor, "C H W"]) -> None:
    """Draw an image with values in [0, 1], grey or colour."""
    pixels = image.clamp(0, 1).permute(1, 2, 0).squeeze(-1)
    axis.imshow(pixels.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")


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
) -> Iterator[tuple[Method, dict[str, Tensor]]]:
    """Every finished learned row of seed 0, with the weights of its E and G."""
    for row in methods_of(config):
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
    row: Method, splits: Splits, base: Augment, learned: Augment, path: Path
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


def some_of_each_class(labelled: Labelled | OnDisk, num: int) -> Int64[Tensor, "n"]:
    """Positions of up to `num` images, classes in turn."""
    turn = torch.zeros_like(labelled.labels)
    for label in labelled.labels.unique():
        where = labelled.labels == label
        turn[where] = torch.arange(int(where.sum()), device=turn.device)
    order = torch.argsort(turn * labelled.num_classes + labelled.labels)
    return order[:num].sort().values


LARGEST_PX = 512  # a panel is smaller


def image_files(paths: Sequence[Path]) -> list[Path]:
    """The images among these files and below these folders, in order of name.

    Raises:
        ValueError: if a path does not exist, or there is no image.
    """
    if not paths:
        raise ValueError("no image is named: give image files or a folder")
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise ValueError(f"{path} does not exist: give image files or a folder")
        inside = files_below(path) if path.is_dir() else [path]
        found += [file for file in inside if file.suffix.lower() in SUFFIXES]
    if not found:
        raise ValueError(
            f"{', '.join(map(str, paths))}: no image ({', '.join(sorted(SUFFIXES))})"
        )
    return found


def some_images(
    files: Sequence[Path], num: int, channels: int
) -> list[tuple[str, Image.Image]]:
    """Up to `num` images, evenly over the files, with their names.

    They are converted to what the augmentation was trained on; unreadable ones are
    named in a warning and left out.

    Raises:
        ValueError: if none can be read.
    """
    step = max(len(files) / num, 1)
    shown = []
    for k in range(min(num, len(files))):
        file = files[int(k * step)]
        try:
            image = open_image(Encoded(str(file), file.read_bytes(), 0), "RGB")
        except UnreadableError as error:
            warnings.warn(f"{error} and is left out", stacklevel=2)
            continue
        image.thumbnail((LARGEST_PX, LARGEST_PX))
        image = image.convert("L") if channels == 1 else image
        shown.append((f"{file.parent.name}/{file.name}", image))
    if not shown:
        tried = plural(len(files), "image")
        raise ValueError(f"none of {tried} can be read, from {files[0]}")
    return shown


def draw_preview(
    augment: LearnedAugment,
    images: Sequence[tuple[str, Image.Image]],
    path: Path,
    *,
    num_views: int,
    seed: int,
    title: str,
) -> None:
    """Write a picture with a column for each image.

    Rows are the image, `num_views` independent views, and the flow of the first view:
    an arrow begins at a place in the view and ends where its value comes from.
    """
    names = ["image", *(f"view {k + 1}" for k in range(num_views)), "flow of view 1"]
    size = (1.1 + 1.05 * len(images), 0.5 + 1.12 * len(names))
    figure = Figure(figsize=size, layout="compressed")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(names), len(images), squeeze=False)
    for name, axis in zip(names, axes[:, 0], strict=True):
        axis.text(-0.12, 0.5, name, ha="right", va="center", transform=axis.transAxes)
    for number, ((name, image), column) in enumerate(zip(images, axes.T, strict=True)):
        draws = generator(seed, "preview", number)
        params = [augment.make_params([image], draws) for _ in range(num_views)]
        column[0].set_title(_short(name), fontsize=7)
        views = [image, *(augment.transform(image, drawn) for drawn in params)]
        for axis, shown in zip(column, views, strict=False):
            show_image(axis, pixels(shown))
        plot_flow(params[0]["view"].flow[0], column[-1], colour=FLOW_COLOUR)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        for spine in axis.spines.values():
            spine.set(color="#bbbbbb", linewidth=0.6)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=120)


def _short(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:6]}...{name[-11:]}"

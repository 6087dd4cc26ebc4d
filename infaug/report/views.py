"""Images, flows and views as PNG: of an experiment, and of your own images."""

import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from infaug.augment.base import build_base
from infaug.augment.learned import Learned
from infaug.augment.views import Compose
from infaug.config import EstimatorConfig, RunConfig
from infaug.data.dataset import Labelled, to_float
from infaug.data.decode import Encoded, UnreadableError, open_image
from infaug.data.on_disk import ImageSet
from infaug.data.problem import Splits, load_splits
from infaug.estimate.learned_transform import LearnedTransform
from infaug.experiment.finished import finished_training
from infaug.experiment.methods import methods_of
from infaug.export.learned_augment import LearnedAugment
from infaug.export.values import pixels
from infaug.randomness import RandomNumbers, generator
from infaug.record.atomic import write_bytes
from infaug.record.folder import RunFolder
from infaug.report.figures import plot_flow
from infaug.report.words import short
from infaug.training.methods import Method
from infaug.training.views import base_of
from infaug.transform.fields import Fields, apply_fields, recolour
from infaug.transform.spatial import flow_of, warp
from infaug.types import Augment
from infaug.words import plural

NUM_IMAGES = 12
NUM_VIEWS = 3
NUM_TAUS = 10
MAX_PX = 512  # of an image of your own; a panel is smaller
FLOW_COLOUR = "#2266aa"  # where the page's blue is not


def draw_pictures(run: Path) -> list[Path]:
    """Two PNG for every learned method of a finished experiment, unless they are there.

    The files, new or not.
    """
    folder, splits, drawn = RunFolder(run), None, []
    config = folder.config()
    for method in methods_of(config):
        if not method.is_learned or folder.training_result(method.name, 0) is None:
            continue
        paths = [
            run / f"{kind}-{method.name}.png" for kind in ("views", "interpolation")
        ]
        drawn += paths
        if all(path.exists() for path in paths):
            continue
        splits = splits or load_splits(config.data)
        transform = finished_training(folder, method.name, 0).transform()
        _draw_views(method, splits, config, transform, paths[0])
        image = to_float(splits.train.select(torch.arange(1)).images)[0]
        taus = taus_between(transform, image, config.estimator)
        draw_interpolation(transform, image, taus, paths[1], title=method.name)
    return drawn


def _draw_views(
    method: Method,
    splits: Splits,
    config: RunConfig,
    transform: LearnedTransform,
    path: Path,
) -> None:
    """Columns are training images; lines are the image, base views, learned views.

    The last line has images of the influence split: what E aims at.
    """
    base = build_base(base_of(method, config.rounds.base))
    learned = Learned(transform, config.estimator)
    parts: tuple[Augment, ...] = (
        (base, learned) if method.learns_on_base else (learned,)
    )
    x = to_float(some_of_each_class(splits.train, NUM_IMAGES).images)
    rng = RandomNumbers.of_size(len(x), 0, "picture")
    lines = [("training image", x)]
    for name, augment in (("base", base), ("learned", Compose(*parts))):
        lines += [(name, augment(x, rng.fork(name, k))) for k in range(NUM_VIEWS)]
    aims = to_float(some_of_each_class(splits.influence, NUM_IMAGES).images)
    lines.append(("influence split", aims))
    axes = _grid([name for name, _ in lines], len(x), 0.7, 0.75)
    for (_, images), line in zip(lines, axes, strict=True):
        for image, axis in zip(images, line, strict=False):
            show_image(axis, image)
    _save(axes, f"{method.name}: images before and after", path)


def some_of_each_class(images: ImageSet, num: int) -> Labelled:
    """Up to `num` images, classes in turn."""
    turn = torch.zeros_like(images.labels)
    for label in images.labels.unique():
        where = images.labels == label
        turn[where] = torch.arange(int(where.sum()), device=turn.device)
    order = torch.argsort(turn * images.num_classes + images.labels)
    return images.select(order[:num].sort().values)


@torch.no_grad()
def taus_between(
    transform: LearnedTransform, image: Float[Tensor, "C H W"], config: EstimatorConfig
) -> Float[Tensor, "K T"]:
    """Taus from one draw of E(x) + noise to another."""
    tau = transform.estimator(image[None])[0]
    rng = RandomNumbers.of_size(2, 0, "interpolation")
    start, end = config.tau_noise * rng.normal(transform.config.tau_size)
    return interpolate(tau, start, end)


def interpolate(
    centre: Float[Tensor, "T"],
    start: Float[Tensor, "T"],
    end: Float[Tensor, "T"],
    num: int = NUM_TAUS,
) -> Float[Tensor, "num T"]:
    """Taus from centre + start to centre + end, on an arc: cos(t) start + sin(t) end.

    Differs from the paper, which goes straight. If start and end are independent
    Gaussian noise, so is every point of the arc, while the middle of the straight line
    is shorter by a factor 0.71; and G, calibrated on random tau, saturates near zero.

    >>> zero, one = torch.zeros(2), torch.eye(2)
    >>> interpolate(zero, one[0], one[1], 3).square().sum(dim=1).round().tolist()
    [1.0, 1.0, 1.0]
    """
    angle = torch.linspace(0, torch.pi / 2, num)[:, None]
    return centre + angle.cos() * start + angle.sin() * end


@torch.no_grad()
def draw_interpolation(
    transform: LearnedTransform,
    image: Float[Tensor, "C H W"],
    taus: Float[Tensor, "K T"],
    path: Path,
    *,
    title: str,
) -> None:
    """Figure 4 of the ICLR 2019 submission: one image, a column for each tau.

    An arrow of the flow begins at the place in the output and ends where that place
    takes its value from. Appearance is (c_w * x + c_b) of the warped image: blue
    darkens, white changes nothing, red lightens; its mean over the channels.
    """
    fields = transform.bounded(transform.generator.unbounded(taus))
    x = image.expand(len(taus), *image.shape)
    padding = transform.config.padding
    flow = flow_of(fields.matrix, fields.offset)
    warped = warp(x, flow, padding=padding)
    final = apply_fields(x, fields, padding=padding)
    change = appearance(warped, fields)
    reach = max(float(change.abs().max()), 1e-6)
    names = ("image", "flow", "warped", "appearance", "final")
    axes = _grid(names, len(taus), 1.0, 1.12)
    for k, (top, arrows, middle, colour, bottom) in enumerate(axes.T):
        show_image(top, image)
        plot_flow(flow[k], arrows, colour=FLOW_COLOUR)
        show_image(middle, warped[k])
        mean = change[k].mean(dim=0).numpy()
        colour.imshow(mean, cmap="RdBu_r", vmin=-reach, vmax=reach)
        show_image(bottom, final[k])
    text = f"{title}: one image, from one draw of E(x) + noise to another"
    _save(axes, text, path)


def appearance(
    warped: Float[Tensor, "B C H W"], fields: Fields
) -> Float[Tensor, "B C H W"]:
    """What the appearance model adds to the warped image: c_w * x + c_b, unclamped."""
    return recolour(warped, fields.filter, fields.bias) - warped


def some_images(
    files: Sequence[Path], num: int, channels: int
) -> list[tuple[str, Image.Image]]:
    """Up to `num` images with their names, evenly over the files.

    Converted to what the augmentation was trained on; unreadable ones are left out with
    a warning.

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
        image.thumbnail((MAX_PX, MAX_PX))
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

    Lines are the image, `num_views` independent views, and the flow of the first view:
    an arrow begins at a place in the view and ends where its value comes from.
    """
    names = ["image", *(f"view {k + 1}" for k in range(num_views)), "flow of view 1"]
    axes = _grid(names, len(images), 1.05, 1.12)
    for number, ((name, image), column) in enumerate(zip(images, axes.T, strict=True)):
        rng = generator(seed, "preview", number)
        params = [augment.make_params([image], rng) for _ in range(num_views)]
        column[0].set_title(short(name, 20), fontsize=7)
        views = [image, *(augment.transform(image, drawn) for drawn in params)]
        for axis, view in zip(column, views, strict=False):
            show_image(axis, pixels(view))
        plot_flow(params[0]["view"].flow[0], column[-1], colour=FLOW_COLOUR)
    _save(axes, title, path)


def show_image(axis: Axes, image: Float[Tensor, "C H W"]) -> None:
    """Draw an image with values in [0, 1], grey or colour."""
    values = image.clamp(0, 1).permute(1, 2, 0).squeeze(-1)
    axis.imshow(values.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def _grid(lines: Sequence[str], columns: int, width: float, height: float):
    """Axes [lines, columns] with a name before each line; inches of one image."""
    size = (1.1 + width * columns, 0.5 + height * len(lines))
    figure = Figure(figsize=size, layout="compressed")
    axes = figure.subplots(len(lines), columns, squeeze=False)
    for name, axis in zip(lines, axes[:, 0], strict=True):
        axis.text(-0.12, 0.5, name, ha="right", va="center", transform=axis.transAxes)
    return axes


def _save(axes, title: str, path: Path) -> None:
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set(color="#bbbbbb", linewidth=0.6)
    figure, content = axes[0, 0].figure, BytesIO()
    figure.suptitle(title, fontsize=10)
    figure.savefig(content, dpi=110)
    write_bytes(path, content.getvalue())

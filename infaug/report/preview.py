"""A folder of images as a learned augmentation shows them."""

import warnings
from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from infaug.data.decode import Encoded, UnreadableError, open_image
from infaug.data.names import SUFFIXES
from infaug.data.tree import files_below
from infaug.export.images import pixels
from infaug.export.learned_augment import LearnedAugment
from infaug.randomness import generator
from infaug.report.panels import show_flow, show_image
from infaug.words import plural

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
        show_flow(column[-1], params[0]["view"].flow[0])
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        for spine in axis.spines.values():
            spine.set(color="#bbbbbb", linewidth=0.6)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=120)


def _short(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:6]}...{name[-11:]}"

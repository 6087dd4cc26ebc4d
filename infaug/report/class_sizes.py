"""Pictures of what small classes lack: a number for each class against its size."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# (images of the class, number) for each class of each seed.
Points = Sequence[tuple[int, float]]


def draw_against_class_size(
    panels: Mapping[str, Mapping[str, Points]], title: str, path: Path
) -> None:
    """One panel for each quantity, in it one line for each method.

    A line goes through the mean at each class size, sizes being equal over seeds if the
    tail is; the points themselves are drawn beneath. Sizes are on a logarithmic axis.

    Args:
        panels: by name of the quantity, then by method.
        title: of the picture.
        path: of the PNG.
    """
    figure = Figure(figsize=(5 * len(panels), 4.2), layout="compressed")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (quantity, methods) in zip(axes, panels.items(), strict=True):
        for number, (method, points) in enumerate(methods.items()):
            _draw_method(axis, method, points, f"C{number}")
        axis.set(xscale="log", xlabel="training images of the class", ylabel=quantity)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=110)


def means_by_size(points: Points) -> list[tuple[int, float]]:
    """The mean at each class size, sizes ascending.

    >>> means_by_size([(9, 1.0), (3, 5.0), (9, 2.0)])
    [(3, 5.0), (9, 1.5)]
    """
    values: dict[int, list[float]] = {}
    for size, value in points:
        values.setdefault(size, []).append(value)
    return [(size, sum(v) / len(v)) for size, v in sorted(values.items())]


def _draw_method(axis: Axes, method: str, points: Points, color: str) -> None:
    axis.scatter(*zip(*points, strict=True), s=9, alpha=0.4, color=color)
    axis.plot(*zip(*means_by_size(points), strict=True), color=color, label=method)

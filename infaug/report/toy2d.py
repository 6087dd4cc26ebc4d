"""Figure 3 of the ICLR 2019 submission, drawn: four panels for each row."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from infaug.toy2d import PointClassifier, ToyResult, as_images, validation_loss

COLOURS = ("#c0392b", "#2266aa")
PANELS = (
    "training points\nF before",
    "validation points\nF before",
    "where E moves the training points\nF refitted to both",
    "validation points\nF refitted to both",
)
EXTENT = 2.9


def draw_toy(rows: Sequence[tuple[str, ToyResult]], path: Path) -> None:
    """Write the figure as PNG: a titled row of four panels for each result.

    Shading is the probability of class 1 and the solid line F's border; dashes show the
    border before. Rings mark the validation points that F got wrong before.
    """
    figure = Figure(figsize=(13, 3.4 * len(rows) + 0.9), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), 4, squeeze=False, sharex=True, sharey=True)
    for (title, result), line in zip(rows, axes, strict=True):
        _draw_row(result, list(line))
        line[0].set_ylabel(title, fontsize=12)
    for axis, title in zip(axes[0], PANELS, strict=True):
        axis.set_title(title, fontsize=11)
    figure.legend(handles=_legend(), loc="outside lower center", ncols=6, frameon=False)
    figure.savefig(path, dpi=110)


def _draw_row(result: ToyResult, axes: list[Axes]) -> None:
    points, before, after = result.points, result.before, result.after
    for axis, classifier in zip(axes, (before, before, after, after), strict=True):
        _shade(axis, classifier)
    for axis in axes[2:]:
        _border(axis, before, "dashed")
    _dots(axes[0], points.train_points, points.train_labels)
    _arrows(axes[2], points.train_points, result.moved, points.train_labels)
    for axis, classifier in ((axes[1], before), (axes[3], after)):
        _dots(axis, points.val_points, points.val_labels)
        axis.set_xlabel(f"validation loss {validation_loss(classifier, points):.3f}")
    for axis in axes[1:]:
        rings = points.val_points[result.missed]
        axis.scatter(*rings.T, s=70, facecolors="none", edgecolors="black", zorder=4)


def _probability(classifier: PointClassifier) -> tuple[Tensor, Tensor, Tensor]:
    ticks = torch.linspace(-EXTENT, EXTENT, 160)
    xs, ys = torch.meshgrid(ticks, ticks, indexing="xy")
    grid = as_images(torch.stack([xs.flatten(), ys.flatten()], dim=1))
    with torch.no_grad():
        return xs, ys, classifier(grid).softmax(dim=1)[:, 1].view_as(xs)


def _shade(axis: Axes, classifier: PointClassifier) -> None:
    levels = [k / 10 for k in range(11)]
    axis.contourf(*_probability(classifier), levels=levels, cmap="RdBu", alpha=0.45)
    _border(axis, classifier, "solid")
    axis.set(xlim=(-EXTENT, EXTENT), ylim=(-EXTENT, EXTENT), aspect="equal")
    axis.set(xticks=[], yticks=[])


def _border(axis: Axes, classifier: PointClassifier, style: str) -> None:
    axis.contour(
        *_probability(classifier), levels=[0.5], colors="#333333", linestyles=style,
        linewidths=1.3,
    )  # fmt: skip


def _dots(axis: Axes, points: Float[Tensor, "N 2"], labels: Int64[Tensor, "N"]) -> None:
    for label, colour in enumerate(COLOURS):
        shown = points[labels == label]
        axis.scatter(*shown.T, s=18, c=colour, edgecolors="white", linewidths=0.5)


def _arrows(
    axis: Axes,
    start: Float[Tensor, "N 2"],
    end: Float[Tensor, "N 2"],
    labels: Int64[Tensor, "N"],
) -> None:
    for label, colour in enumerate(COLOURS):
        where = labels == label
        tail, step = start[where], (end - start)[where]
        axis.quiver(
            *tail.T, *step.T, color=colour, angles="xy", scale_units="xy", scale=1,
            width=0.005, headwidth=4, headlength=4.5, alpha=0.85, zorder=3,
        )  # fmt: skip


def _legend() -> list[Line2D]:
    def mark(label: str, marker: str, colour: str, size: float = 6, face: str = ""):
        return Line2D(
            [], [], color=colour, marker=marker, linestyle="none", label=label,
            markersize=size, markerfacecolor=face or colour,
        )  # fmt: skip

    return [
        mark("class 0", "o", COLOURS[0]),
        mark("class 1", "o", COLOURS[1]),
        mark("missed by F before", "o", "black", 8, "none"),
        Line2D([], [], color="#333333", label="border of F"),
        Line2D([], [], color="#333333", linestyle="dashed", label="border before"),
        mark("tau", r"$\rightarrow$", "#555555", 14),
    ]

"""Every figure of the page."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from jaxtyping import Float
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter
from torch import Tensor

from infaug.experiment.verdict import Comparison
from infaug.report.learned import Group, Quantity
from infaug.report.logs import Curves, Metric
from infaug.report.svg import VAR, as_svg, limits
from infaug.report.words import MINUS, number, short, signed
from infaug.transform.spatial import pixel_grid
from infaug.words import plural

# Colour, dashes (none: solid) and width of each method's line.
LINES: Mapping[str, tuple[str, tuple[float, ...], float]] = {
    "pooled_learned": ("blue", (), 2.6),
    "base_learned": ("red", (), 2.6),
    "learned": ("purple", (), 2.6),
    "base": ("green", (7, 3), 1.5),
    "pooled": ("orange", (3, 2), 1.5),
    "base_random": ("sky", (9, 3, 2, 3), 1.5),
    "base_random_final": ("sky", (9, 3, 2, 3), 1.5),
    "base_random_initial": ("sky", (1.5, 3), 1.5),
    "base_tuned": ("purple", (12, 3), 1.5),
    "none": ("grey", (1.5, 2.5), 1.5),
    "oracle": ("ink", (5, 2, 1, 2), 1.5),
}
OTHER = ("grey", (6, 2), 1.5)
ARROWS = 7  # along each side of an image
MAX_MARKED = 8  # points of a line that are drawn as dots
LOG_FROM = 12.0  # times the smallest loss
MIN_SIDE = 1.0  # points to each side of zero: less would make much of nothing


def draw_curves(
    found: Curves, metric: Metric, among: Sequence[float] | None = None
) -> Markup:
    """A line for each method over rounds; see `plot_curves`."""
    last = "; ".join(f"{name} {number(p[-1][1], 3)}" for name, p in found.items())
    rounds = plural(round(_rounds(found)), "round")
    label = f"{metric.title} over {rounds}. Last ({metric.unit}): {last}."
    return as_svg(label, partial(plot_curves, found, metric, among), 230)


def plot_curves(
    found: Curves, metric: Metric, among: Sequence[float] | None, axes: Axes
) -> None:
    """Lines of methods; `among` are the values that the vertical axis holds, if given.

    A loss that falls far has a logarithmic axis. Points are marked where there are few:
    a line through two of them would promise more.
    """
    values = values_of(found) if among is None else among
    is_log = "loss" in metric.key and max(values) > LOG_FROM * min(values) > 0
    # Learned methods come first in the table and last here: they lie on top.
    for method, points in sorted(found.items(), key=lambda item: "learned" in item[0]):
        is_marked = len(points) <= MAX_MARKED
        _line(axes, method, points, range(len(points)) if is_marked else [-1])
    axes.set_xlim(0, max(math.ceil(_rounds(found) - 1e-9), 1))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if is_log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(min(values) * 0.8, max(values) * 1.2)
    else:
        low, high = limits(values, min_span=metric.min_span)
        axes.set_ylim(max(low, 0.0), min(high, metric.max_value))
        axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="y")
    axes.tick_params(axis="y", which="minor", left=False)
    axes.set_xlabel("rounds of training F")
    axes.set_title(metric.y_label + (", logarithmic" if is_log else ""))


def _line(
    axes: Axes,
    method: str,
    points: Sequence[tuple[float, float]],
    marked: Sequence[int],
) -> None:
    colour, dashes, width = LINES.get(method, OTHER)
    axes.plot(
        *zip(*points, strict=True), color=VAR[colour], linewidth=width, clip_on=False,
        linestyle=(0, dashes) if dashes else "solid", marker="o", markersize=5,
        markevery=list(marked), gid=method,
    )  # fmt: skip


def _rounds(found: Curves) -> float:
    return max(x for points in found.values() for x, _ in points)


def values_of(found: Curves) -> list[float]:
    """Every number of every line."""
    return [y for points in found.values() for _, y in points]


def swatch(method: str) -> Markup:
    """A piece of a method's line with its dot, for the legend."""

    def draw(axes: Axes) -> None:
        _line(axes, method, [(0, 0), (1, 0)], [1])
        axes.set_axis_off()

    return as_svg(f"line of {method}", draw, 10, width=38, name="swatch")


def draw_spread(
    groups: Sequence[Group], quantity: Quantity, known: float | None
) -> Markup:
    """Quantiles of a quantity over each group's views.

    From the 5 % to the 95 % quantile, thick in the middle half, a dot at the median. A
    line marks where nothing is changed, a dashed one the shift of the target images,
    where it is `known`.
    """
    medians = ", ".join(
        f"{g.name} {number(g.quantiles[quantity.key][2])}" for g in groups
    )
    target = "" if known is None else f" Target images: {number(known)}."
    label = f"{quantity.title}, {quantity.unit}; medians: {medians}.{target}"
    draw = partial(_plot_spread, groups, quantity, known)
    return as_svg(label, draw, 58 + 17 * len(groups))


def _plot_spread(
    groups: Sequence[Group], quantity: Quantity, known: float | None, axes: Axes
) -> None:
    axes.axvline(quantity.neutral, color=VAR["grey"], linewidth=1)
    if known is not None:
        axes.axvline(known, color=VAR["red"], linewidth=1.4, linestyle=(0, (4, 3)))
        top = axes.get_xaxis_transform()
        axes.text(known, 1.01, "target", transform=top, ha="center", va="bottom")
    reached = [quantity.neutral] + ([] if known is None else [known])
    for y, group in enumerate(groups):
        low, lower, median, upper, high = group.quantiles[quantity.key]
        bar, dot = ("blue", "blue") if y == 0 else ("grey", "ink")
        axes.hlines(y, low, high, color=VAR[bar], linewidth=1.2)
        axes.hlines(y, lower, upper, color=VAR[bar], linewidth=4.5, alpha=0.75)
        axes.plot(median, y, "o", color=VAR[dot], markersize=6)
        reached += [low, high]
    axes.set_yticks(range(len(groups)), [short(group.name) for group in groups])
    axes.get_yticklabels()[0].set(weight="bold", color=VAR["ink"])
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_xlim(limits(reached, min_span=quantity.min_span))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(quantity.unit)
    axes.set_title(quantity.title, weight="bold", color=VAR["ink"], pad=8)


def draw_differences(made: Sequence[Comparison]) -> Markup:
    """Paired differences of methods and controls; see `plot_differences`."""
    listed = "; ".join(
        f"{c.method} against {c.control} {signed(c.difference)} ({signed(c.low)} to "
        f"{signed(c.high)})"
        for c in made
    )
    label = f"Paired differences in points, with 95 % intervals: {listed}."
    return as_svg(label, partial(plot_differences, made), 40 + 17 * len(made))


def plot_differences(made: Sequence[Comparison], axes: Axes) -> None:
    """A dot at each difference, its interval as a line, zero marked.

    A wide interval of few seeds would leave no room for the others: it is cut where it
    is three times as far out as the furthest difference.
    """
    far = 3 * max(max(abs(c.difference) for c in made), 0.5)
    ends = [v for c in made for v in (c.low, c.high, c.difference) if math.isfinite(v)]
    axes.axvline(0, color=VAR["grey"], linewidth=1)
    for y, c in enumerate(made):
        colour = VAR["blue" if c.low > 0 else "red" if c.high < 0 else "grey"]
        if math.isfinite(c.low):
            axes.hlines(y, c.low, c.high, color=colour, linewidth=2)
        axes.plot(c.difference, y, "o", color=colour, markersize=7)
    names = [f"{c.method} {MINUS} {c.control}" for c in made]
    axes.set_yticks(range(len(made)), names)
    axes.set_ylim(len(made) - 0.5, -0.5)
    cut = (min(max(v, -far), far) for v in ends)
    axes.set_xlim(limits([-MIN_SIDE, MIN_SIDE, *cut]))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel("points")


def draw_agreement(
    predicted: Sequence[float], actual: Sequence[float], title: str
) -> Markup:
    """Predicted against refitted, thousandths of a nat, with the line of agreement."""

    def draw(axes: Axes) -> None:
        xs, ys = ([1000 * v for v in values] for values in (predicted, actual))
        axes.axline((0, 0), slope=1, color=VAR["grey"], linewidth=1)
        axes.plot(
            xs, ys, "o", color=VAR["blue"], alpha=0.7, markersize=6.4,
            markeredgecolor=VAR["paper"], markeredgewidth=0.6,
        )  # fmt: skip
        both = limits([*xs, *ys, 0.0])
        axes.set(xlim=both, ylim=both, xlabel="predicted, nats / 1000")
        axes.set_title("head refitted, nats / 1000")
        axes.grid(axis="y")

    label = f"Predicted {title} against refitted: {plural(len(predicted), 'image')}"
    return as_svg(label, draw, 300)


def draw_calibration(bins: Sequence[tuple[float, float, int]]) -> Markup:
    """Share that was right against the probability given; larger dots are of more."""

    def draw(axes: Axes) -> None:
        said, right, numbers = zip(*bins, strict=True)
        axes.axline((0, 0), slope=1, color=VAR["grey"], linewidth=1)
        sizes = [12 + 240 * num / sum(numbers) for num in numbers]
        axes.plot(said, right, color=VAR["blue"], linewidth=1, alpha=0.5)
        axes.scatter(said, right, sizes, color=VAR["blue"], clip_on=False, zorder=3)
        axes.set(xlim=(0, 100), ylim=(0, 100), xlabel="probability given, %")
        axes.set_title("share that was right, %")
        axes.grid(axis="y")

    dots = "; ".join(f"{p:.0f} % given, {r:.0f} % right" for p, r, _ in bins)
    return as_svg(f"Calibration: {dots}.", draw, 260)


def draw_flow(flow: Float[Tensor, "H W 2"], label: str) -> Markup:
    """A flow as arrows in a frame, which is the image."""
    draw = partial(plot_flow, flow, colour=VAR["blue"])
    return as_svg(label, draw, 74, width=74, name="flow")


def plot_flow(flow: Float[Tensor, "H W 2"], axes: Axes, *, colour: str) -> None:
    """Arrows from places in the view to where their values come from.

    There are `ARROWS` along each side. y points downwards, as in the image.
    """
    height, width = flow.shape[:2]
    grid = pixel_grid(height, width, like=flow)
    ys, xs = (
        torch.linspace(0, size - 1, ARROWS + 2)[1:-1].round().long()
        for size in (height, width)
    )
    tails, tips = (g[ys][:, xs].reshape(-1, 2).T for g in (grid, flow))
    axes.quiver(
        *tails, *(tips - tails), angles="xy", scale_units="xy", scale=1, color=colour,
        width=0.013, headwidth=4, headlength=4, headaxislength=3.5,
    )  # fmt: skip
    axes.set(xlim=(-1, 1), ylim=(1, -1), aspect=height / width, xticks=[], yticks=[])
    axes.spines[:].set_visible(True)

"""Lines with a dot: quantiles of a quantity, paired differences and their intervals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from markupsafe import Markup

from infaug.experiment.verdict import Comparison
from infaug.report.learned import LearnedViews, Quantity
from infaug.report.svg import WIDTH, Axis, around, dot, drawing, line, text, tick_text
from infaug.report.words import number, short, signed

LINE, TOP, LEFT = 17, 22, 92
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, kw_only=True)
class Group:
    """Some views, and the quantiles of each quantity over them."""

    name: str
    num: int
    quantiles: Mapping[str, Sequence[float]]


def groups_of(found: LearnedViews, everything: str = "all") -> list[Group]:
    """All views, and those of each class that has some."""
    masks = [(everything, torch.ones_like(found.labels, dtype=torch.bool))]
    masks += [
        (found.class_names[label], found.labels == label)
        for label in found.labels.unique().tolist()
    ]
    return [_group(name, found, mask) for name, mask in masks]


def _group(name: str, found: LearnedViews, mask: torch.Tensor) -> Group:
    at = torch.tensor(QUANTILES, dtype=torch.float64)
    quantiles = {
        key: values[mask].double().quantile(at).tolist()
        for key, values in found.values.items()
    }
    return Group(name=name, num=int(mask.sum()), quantiles=quantiles)


def draw_spread(
    groups: Sequence[Group], quantity: Quantity, known: float | None
) -> Markup:
    """From the 5 % to the 95 % quantile, thick in the middle half, a dot at the median.

    A rule marks where nothing is changed, a dashed one what use does, where it is
    known.
    """
    rows = [group.quantiles[quantity.key] for group in groups]
    marks = [quantity.neutral] + ([] if known is None else [known])
    reached = [v for row in rows for v in (row[0], row[-1])]
    low, high = around([*marks, *reached], least=quantity.least)
    axis = Axis(low=low, high=high, start=LEFT, end=WIDTH - 10)
    bottom = TOP + LINE * len(rows)
    parts = [text(0, 10, quantity.title, "axis-label strong")]
    parts += _rules(axis, quantity, known, bottom)
    for place, (group, row) in enumerate(zip(groups, rows, strict=True)):
        at = TOP + LINE * (place + 0.5)
        kind = "whole" if place == 0 else "part"
        parts.append(text(LEFT - 8, at + 3.5, short(group.name), f"tick end {kind}"))
        least, lower, middle, upper, most = (axis.at(value) for value in row)
        parts.append(line([(least, at), (most, at)], f"reach {kind}"))
        parts.append(line([(lower, at), (upper, at)], f"middle-half {kind}"))
        parts.append(dot(middle, at, f"median {kind}", 3))
    parts += _scale(axis, quantity, bottom)
    return drawing(_label(groups, quantity, known), bottom + 36, parts)


def _rules(
    axis: Axis, quantity: Quantity, known: float | None, bottom: float
) -> list[Markup]:
    at = axis.at(quantity.neutral)
    parts = [line([(at, TOP - 2), (at, bottom)], "zero")]
    if known is not None:
        at = axis.at(known)
        parts.append(line([(at, TOP - 2), (at, bottom)], "known"))
        parts.append(text(at, TOP - 5, "use", "tick middle"))
    return parts


def _scale(axis: Axis, quantity: Quantity, bottom: float) -> list[Markup]:
    parts = [line([(axis.start, bottom), (axis.end, bottom)], "axis")]
    for value in axis.ticks:
        at = axis.at(value)
        parts.append(line([(at, bottom), (at, bottom + 3)], "axis"))
        parts.append(text(at, bottom + 14, tick_text(value), "tick middle"))
    middle = (axis.start + axis.end) / 2
    parts.append(text(middle, bottom + 29, quantity.unit, "axis-label middle"))
    return parts


def _label(groups: Sequence[Group], quantity: Quantity, known: float | None) -> str:
    medians = ", ".join(
        f"{g.name} {number(g.quantiles[quantity.key][2])}" for g in groups
    )
    use = "" if known is None else f" Use: {number(known)}."
    return f"{quantity.title}, {quantity.unit}; medians: {medians}.{use}"


SMALL_WIDTH, SMALL_HEIGHT = 180, 18
MIN_SIDE = 1.0  # points to each side of zero: less would make much of nothing


def shared_axis(made: Sequence[Comparison]) -> Axis:
    """One axis for all lines of a table, with zero and a point to each side on it.

    A wide interval of few seeds would leave no room for the others: it is cut where it
    is three times as far out as the furthest difference.
    """
    far = 3 * max(max(abs(c.difference) for c in made), 0.5)
    ends = [v for c in made for v in (c.low, c.high, c.difference) if math.isfinite(v)]
    low, high = around([-MIN_SIDE, MIN_SIDE, *(min(max(v, -far), far) for v in ends)])
    return Axis(low=low, high=high, start=8, end=SMALL_WIDTH - 8, most=4)


def draw_interval(made: Comparison, axis: Axis) -> Markup:
    """A line from `low` to `high`, a dot at the difference, a rule at zero."""
    middle = SMALL_HEIGHT / 2
    zero = axis.at(0)
    is_above = made.low > 0
    kind = "above" if is_above else "below" if made.high < 0 else "across"
    parts = [line([(zero, 0), (zero, SMALL_HEIGHT)], "zero")]
    if math.isfinite(made.low):
        ends = [(axis.at(made.low), middle), (axis.at(made.high), middle)]
        parts.append(line(ends, f"interval {kind}"))
    parts.append(dot(axis.at(made.difference), middle, f"estimate {kind}", 3.5))
    label = (
        f"{signed(made.difference)} points, interval {number(made.low)} to "
        f"{number(made.high)}"
    )
    return _small(label, SMALL_HEIGHT, parts)


def draw_scale(axis: Axis) -> Markup:
    """The scale below the lines."""
    parts = [line([(axis.start, 1), (axis.end, 1)], "axis")]
    for value in axis.ticks:
        at = axis.at(value)
        parts += [line([(at, 1), (at, 4)], "axis")]
        parts += [text(at, 15, tick_text(value), "tick middle")]
    return _small("scale in points", SMALL_HEIGHT, parts)


def _small(label: str, height: float, parts: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg class="interval-chart" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        "{}</svg>"
    ).format(SMALL_WIDTH, height, label, Markup("").join(parts))

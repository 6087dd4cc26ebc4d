"""Paired differences and their intervals, as small charts in the lines of a table."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from infaug.experiment.verdict import Comparison
from infaug.report.svg import Axis, around, dot, line, text, tick_text
from infaug.report.words import number, signed

WIDTH, HEIGHT = 180, 18
LEAST = 1.0  # points to each side of zero: less would make much of nothing


def shared_axis(made: Sequence[Comparison]) -> Axis:
    """One axis for all lines of a table, with zero and a point to each side on it.

    A wide interval of few seeds would leave no room for the others: it is cut where it
    is three times as far out as the furthest difference.
    """
    far = 3 * max(max(abs(c.difference) for c in made), 0.5)
    ends = [v for c in made for v in (c.low, c.high, c.difference) if math.isfinite(v)]
    low, high = around([-LEAST, LEAST, *(min(max(v, -far), far) for v in ends)])
    return Axis(low=low, high=high, start=8, end=WIDTH - 8, most=4)


def draw_interval(made: Comparison, axis: Axis) -> Markup:
    """A line from `low` to `high`, a dot at the difference, a rule at zero."""
    middle = HEIGHT / 2
    zero = axis.at(0)
    is_above = made.low > 0
    kind = "above" if is_above else "below" if made.high < 0 else "across"
    parts = [line([(zero, 0), (zero, HEIGHT)], "zero")]
    if math.isfinite(made.low):
        ends = [(axis.at(made.low), middle), (axis.at(made.high), middle)]
        parts.append(line(ends, f"interval {kind}"))
    parts.append(dot(axis.at(made.difference), middle, f"estimate {kind}", 3.5))
    label = (
        f"{signed(made.difference)} points, interval {number(made.low)} to "
        f"{number(made.high)}"
    )
    return _small(label, HEIGHT, parts)


def draw_scale(axis: Axis) -> Markup:
    """The scale below the lines."""
    parts = [line([(axis.start, 1), (axis.end, 1)], "axis")]
    for value in axis.ticks:
        at = axis.at(value)
        parts += [line([(at, 1), (at, 4)], "axis")]
        parts += [text(at, 15, tick_text(value), "tick middle")]
    return _small("scale in points", HEIGHT, parts)


def _small(label: str, height: float, parts: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg class="interval-chart" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        "{}</svg>"
    ).format(WIDTH, height, label, Markup("").join(parts))

"""How accuracy and loss went, a line for each row."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from markupsafe import Markup

from infaug.report.facts import Facts
from infaug.report.svg import (
    WIDTH,
    Axis,
    Point,
    around,
    dot,
    drawing,
    frame,
    line,
    style_of,
)
from infaug.report.words import number
from infaug.words import plural

HEIGHT = 230
MOST_POINTS = 150  # of a line; more of them cannot be told apart
LOG_FROM = 12.0  # times the smallest loss
MOST_MARKED = 8  # points of a line that are drawn as such

Curves = Mapping[str, Sequence[Point]]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One number of training F, and how it is drawn."""

    key: str
    title: str
    y_label: str
    says: str
    """Read out: what the last number of each line is."""
    least: float
    """The least span of the vertical axis."""
    top: float = math.inf
    """No value lies above it."""


WANTED = (
    Wanted(
        key="selection_top1",
        title="Accuracy on selection images",
        y_label="top-1, percent",
        says="%",
        least=2.0,
        top=100.0,
    ),
    Wanted(
        key="selection_loss",
        title="Loss on selection images",
        y_label="cross-entropy, nats",
        says="nats",
        least=0.05,
    ),
    Wanted(
        key="loss",
        title="Loss on the training views",
        y_label="cross-entropy, nats",
        says="nats",
        least=0.05,
    ),
)


def curves(facts: Facts, key: str) -> Curves:
    """Means over seeds of a number that training F reported, by row.

    The horizontal axis counts rounds of F. A point is the mean over the seeds that came
    so far; where some did not, those alone that came furthest count in the whole line.
    """
    steps = max(facts.config.rounds.classifier_steps, 1)
    found: dict[str, dict[int, list[Point]]] = defaultdict(lambda: defaultdict(list))
    for said in facts.metrics_of("classify"):
        if key in said:
            at = said["round"] + said["step"] / steps
            found[said["row"]][said["seed"]].append((at, said[key]))
    return {
        row: _thinned(_mean_line(list(found[row].values())))
        for row in facts.row_names
        if row in found
    }


def _mean_line(seeds: Sequence[Sequence[Point]]) -> list[Point]:
    furthest = max(len(points) for points in seeds)
    whole = [points for points in seeds if len(points) == furthest]
    return [
        (column[0][0], fmean(y for _, y in column))
        for column in zip(*whole, strict=True)
    ]


def _thinned(points: Sequence[Point]) -> list[Point]:
    """At most `MOST_POINTS`, means of neighbours."""
    size = -(-len(points) // MOST_POINTS)
    parts = [points[k : k + size] for k in range(0, len(points), size)]
    return [(part[-1][0], fmean(y for _, y in part)) for part in parts]


def draw_curves(
    found: Curves, wanted: Wanted, among: Sequence[float] | None = None
) -> Markup:
    """A chart; `among` are the values that its vertical axis must hold; none: its own.

    A loss that falls far is drawn on a logarithmic axis. Points are marked where there
    are few: a line through two of them would promise more.
    """
    values = values_of(found) if among is None else among
    rounds = max(x for points in found.values() for x, _ in points)
    is_log = "loss" in wanted.key and max(values) > LOG_FROM * min(values) > 0
    low, high = _ends(values, wanted, is_log=is_log)
    last = max(math.ceil(rounds - 1e-9), 1)
    x = Axis(low=0, high=last, start=40, end=WIDTH - 8, is_counted=True)
    y = Axis(low=low, high=high, start=HEIGHT - 36, end=20, is_log=is_log)
    scale = ", logarithmic" if is_log else ""
    parts = [frame(x, y, "rounds of training F", wanted.y_label + scale)]
    # The learned rows come first in the table and last here: they lie on top.
    for row, points in sorted(found.items(), key=lambda item: "learned" in item[0]):
        placed = [(x.at(a), y.at(b)) for a, b in points]
        parts += _drawn(placed, style_of(row))
    return drawing(_label(found, wanted, rounds), HEIGHT, parts)


def values_of(found: Curves) -> list[float]:
    """Every number of every line."""
    return [y for points in found.values() for _, y in points]


def _drawn(points: Sequence[Point], style: str) -> list[Markup]:
    """A line with a dot at its end, or at each point where there are few."""
    drawn = [line(points, f"curve {style}")] if len(points) > 1 else []
    marked = points if len(points) <= MOST_MARKED else points[-1:]
    return drawn + [dot(*point, f"curve-end {style}", 3) for point in marked]


def _ends(
    values: Sequence[float], wanted: Wanted, *, is_log: bool
) -> tuple[float, float]:
    if is_log:
        return min(values) * 0.8, max(values) * 1.2
    low, high = around(values, least=wanted.least)
    return max(low, 0.0), min(high, wanted.top)


def _label(found: Curves, wanted: Wanted, rounds: float) -> str:
    last = "; ".join(
        f"{row} {number(points[-1][1], 3)}" for row, points in found.items()
    )
    unit = f" ({wanted.says})"
    return f"{wanted.title} over {plural(round(rounds), 'round')}. Last{unit}: {last}."


def swatch(row: str) -> Markup:
    """A piece of a row's line with its dot, for the legend."""
    style = style_of(row)
    parts = [
        line([(1, 5), (33, 5)], f"curve {style}"),
        dot(33, 5, f"curve-end {style}"),
    ]
    return Markup(
        '<svg class="swatch" viewBox="0 0 34 10" aria-hidden="true">{}</svg>'
    ).format(Markup("").join(parts))

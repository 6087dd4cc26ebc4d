"""Charts as SVG inside a page: text stays text, colours come from the page's CSS.

Charts are 360 units wide, so that their text can be read on a telephone, too; several
stand side by side where there is room. Every one is an image with a text in its place.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from infaug.report.words import MINUS

WIDTH = 360
Point = tuple[float, float]
# The classes that style.css gives a colour and a dash of their own.
ROW_STYLES = (
    "pooled_learned", "base_learned", "learned", "base", "pooled", "base_random",
    "base_random_final", "base_random_initial", "base_tuned", "none", "oracle",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Values from `low` to `high` on pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False
    most: int = 5
    """Steps between ticks, about."""
    is_counted: bool = False
    """Whether values between whole numbers are none: ticks are on whole ones then."""

    def at(self, value: float) -> float:
        """Where a value lies; those beyond the ends lie at the ends."""
        low, high = self._scale(self.low), self._scale(self.high)
        share = (self._scale(value) - low) / (high - low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def _scale(self, value: float) -> float:
        return math.log10(max(value, self.low)) if self.is_log else value

    @property
    def ticks(self) -> list[float]:
        """Round values between the ends."""
        if self.is_log:
            return decades(self.low, self.high)
        least = 1 if self.is_counted else 0
        return steps(self.low, self.high, self.most, least)


def steps(low: float, high: float, most: int = 5, least: float = 0) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, `least` apart or more.

    >>> steps(0.0, 1.0), steps(0.0, 2.0, least=1)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 1.0, 2.0])
    """
    rough = max((high - low) / most, least)
    base = 10.0 ** math.floor(math.log10(rough))
    step = next(base * k for k in (1, 2, 5, 10) if base * k >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def decades(low: float, high: float) -> list[float]:
    """Powers of ten; with 2 and 5 times them where there are few.

    >>> decades(0.03, 2.0)
    [0.05, 0.1, 0.2, 0.5, 1.0, 2.0]
    """
    span = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 2, 5)):
        found = [f * 10.0**e for e in span for f in factors]
        found = [round(v, 12) for v in found if low * 0.999 <= v <= high * 1.001]
        if len(found) > 2:
            break
    return found


def tick_text(value: float) -> str:
    """A tick's label.

    >>> tick_text(0.2), tick_text(-30.0), tick_text(1e-6)
    ('0.2', '−30', '1e−06')
    """
    return f"{value:.4g}".replace("-", MINUS)


def around(
    values: Iterable[float], *, least: float = 0, margin: float = 0.06
) -> tuple[float, float]:
    """Ends of an axis that holds these values, never of no length.

    Args:
        values: those that are not finite are passed over.
        least: span below which a difference would look like more than it is.
        margin: room beyond the values, as a share of their span.

    >>> around([50.0, 50.5], least=2.0, margin=0)
    (49.25, 51.25)
    """
    known = [v for v in values if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(known), max(known)
    lacking = max(least - (high - low), 0.0) / 2
    low, high = low - lacking, high + lacking
    room = margin * (high - low) if high > low else max(abs(high) * 0.1, 1e-3)
    return low - room, high + room


def drawing(label: str, height: float, parts: Iterable[str], name: str = "") -> Markup:
    """A whole picture; `label` is read out in its place."""
    return Markup(
        '<svg class="chart {}" viewBox="0 0 {} {:.0f}" role="img" aria-label="{}">'
        "{}</svg>"
    ).format(name, WIDTH, height, label, Markup("").join(Markup(p) for p in parts))


def text(x: float, y: float, words: str, name: str = "tick") -> Markup:
    """Words at a place; `name` says how they look."""
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>').format(
        name, x, y, words
    )


def line(points: Sequence[Point], name: str) -> Markup:
    """A line through points."""
    drawn = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return Markup('<path class="{}" d="M{}"/>').format(name, drawn)


def dot(x: float, y: float, name: str, radius: float = 3) -> Markup:
    """A point."""
    return Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{:g}"/>').format(
        name, x, y, radius
    )


def frame(x: Axis, y: Axis, x_label: str, y_label: str) -> Markup:
    """Grid, ticks and labels; y grows upwards, so its pixels run from large to small.

    The label of y stands above the chart, where it needs not be turned.
    """
    bottom = max(y.start, y.end)
    parts = [text(0, 10, y_label, "axis-label")]
    for value in y.ticks:
        at = y.at(value)
        parts.append(line([(x.start, at), (x.end, at)], "grid"))
        parts.append(text(x.start - 5, at + 3.5, tick_text(value), "tick end"))
    for value in x.ticks:
        parts.append(line([(x.at(value), bottom), (x.at(value), bottom + 3)], "axis"))
        parts.append(text(x.at(value), bottom + 14, tick_text(value), "tick middle"))
    parts.append(line([(x.start, bottom), (x.end, bottom)], "axis"))
    middle = (x.start + x.end) / 2
    parts.append(text(middle, bottom + 29, x_label, "axis-label middle"))
    return Markup("").join(parts)


def style_of(row: str) -> str:
    """The CSS class of a row's line; rows that have none of their own share one."""
    return f"row-{row}" if row in ROW_STYLES else "row-other"

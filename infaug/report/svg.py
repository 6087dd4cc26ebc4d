"""Figures inside a page: drawn by matplotlib as SVG, in the colours of the page.

A figure is drawn in placeholder colours, which become variables of `style.css`: so it
follows light and dark. Text stays text. Every figure has a label that is read out.
"""

import io
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = (
    "ink", "soft", "rule", "grid", "blue", "red", "green", "purple", "orange", "sky",
    "grey", "paper",
)  # fmt: skip
VAR = {name: f"#0101{k:02x}" for k, name in enumerate(COLOURS)}
STYLE = {
    "svg.fonttype": "none",
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.edgecolor": VAR["rule"],
    "axes.labelcolor": VAR["soft"],
    "axes.titlecolor": VAR["soft"],
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.labelsize": 11,
    "axes.axisbelow": True,
    "grid.color": VAR["grid"],
    "text.color": VAR["soft"],
    "xtick.color": VAR["rule"],
    "xtick.labelcolor": VAR["soft"],
    "ytick.labelcolor": VAR["soft"],
    "ytick.left": False,
    "lines.scale_dashes": False,
}
WIDTH = 360  # units; several figures stand side by side where there is room
MARGIN = 0.06  # of an axis, as a share of its span


def as_svg(
    label: str,
    draw: Callable[[Axes], object],
    height: float,
    *,
    width: float = WIDTH,
    name: str = "chart",
) -> Markup:
    """A figure as SVG inside a page; `label` is read out in its place."""
    # The label makes the ids of a figure its own, and the same each time.
    style: Any = {**STYLE, "svg.hashsalt": label}
    with rc_context(style):
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
        draw(figure.add_subplot())
        file = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    drawn = re.search(r"<svg[^>]*>(.*)</svg>", file.getvalue(), re.DOTALL)
    assert drawn, "matplotlib writes an <svg>"
    inner = re.sub(r"<defs>\s*<style.*?</defs>|<!--.*?-->", "", drawn[1], flags=re.S)
    inner = re.sub(r'<g id="[^"]*"', "<g", inner)
    # The page's own font, upright.
    inner = re.sub(r'font-family: [^;"]*; | transform="rotate\(-0 [^"]*"', "", inner)
    inner = re.sub(r"#0101([0-9a-f]{2})", _variable, inner)
    return Markup(
        '<svg class="{}" viewBox="0 0 {:g} {:g}" role="img" aria-label="{}">{}</svg>'
    ).format(name, width, height, label, Markup(re.sub(r"\s*\n\s*", " ", inner)))


def _variable(found: re.Match[str]) -> str:
    return f"var(--{COLOURS[int(found[1], 16)]})"


def limits(values: Iterable[float], *, min_span: float = 0) -> tuple[float, float]:
    """Ends of an axis that holds these values, `min_span` apart or more.

    A smaller span would let a difference look like more than it is. Values that are not
    finite are passed over; a `MARGIN` is left at both ends.

    >>> limits([50.0, 50.5], min_span=2.0)
    (49.13, 51.37)
    """
    known = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    lacking = max(min_span - (high - low), 0.0) / 2
    low, high = low - lacking, high + lacking
    room = MARGIN * (high - low) if high > low else max(abs(high) * 0.1, 1e-3)
    return low - room, high + room

"""What a page is made of: sections, each drawn, or a sentence that says why not."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from infaug.report.curves import swatch
from infaug.report.material import reason_of
from infaug.report.settings import versions
from infaug.report.words import duration, gloss, number, signed


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a page, with its place in the contents."""

    anchor: str
    title: str
    html: Markup


def section(
    anchor: str, title: str, draw: Callable[[], Mapping[str, Any]], about: str = ""
) -> Section:
    """The section that `sections/ANCHOR.html` makes of what `draw` returns.

    Whatever keeps it from being drawn is said in its place: a page with a gap is worth
    more than none, and a run that is finished must not fail for a picture.
    """
    try:
        html = render(f"sections/{anchor}.html", draw())
    except Exception as error:  # a page has more sections; the reason stands in it
        reason = reason_of(error)
        if not isinstance(error, (ValueError, OSError)):
            warnings.warn(f"{title} of {about} was not drawn: {reason}", stacklevel=2)
        html = render("sections/missing.html", {"reason": reason})
    return Section(anchor=anchor, title=title, html=Markup(html))


def page(template: str, sections: Sequence[Section], **context: Any) -> str:
    """A whole page."""
    drawn_at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    shared = {"sections": sections, "drawn_at": drawn_at, "versions": versions()}
    return render(template, {**shared, **context})


def render(template: str, context: Mapping[str, Any]) -> str:
    """A template of this folder with what it asks for; all of it is escaped."""
    return _environment().get_template(template).render(context)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("infaug.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "signed": signed,
        "duration": duration,
        "gloss": gloss,
        "swatch": swatch,
    }
    return environment

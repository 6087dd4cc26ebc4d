"""A page: one HTML file made of sections, which loads nothing and runs nothing.

Whatever keeps a section from being drawn is said in its place: a page with a gap is
worth more than none, and a finished experiment must not fail for a picture.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from infaug.record.atomic import write_bytes, writing
from infaug.report.experiment_data import versions
from infaug.report.figures import draw_calibration, draw_differences, swatch
from infaug.report.words import duration, gloss, number, signed

Context = Mapping[str, Any]


def write_page(html: str, path: Path) -> Path:
    """Put a page on disk.

    Raises:
        ValueError: if that fails.
    """
    with writing(f"the report {path}", "choose another --out"):
        write_bytes(path, html.encode())
    return path


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a page, with its place in the contents."""

    anchor: str
    title: str
    html: Markup


def section(
    anchor: str, title: str, draw: Callable[..., Context], *arguments: Any
) -> Section:
    """The section that `sections/ANCHOR.html` makes of what `draw` returns."""
    try:
        html = render(f"sections/{anchor}.html", draw(*arguments))
    except Exception as error:  # a page has more sections; the reason stands in it
        reason = reason_of(error)
        if not isinstance(error, (ValueError, OSError)):
            warnings.warn(f"{title} was not drawn: {reason}", stacklevel=2)
        html = render("sections/missing.html", {"reason": reason})
    return Section(anchor=anchor, title=title, html=Markup(html))


def page(template: str, sections: Sequence[Section], **context: Any) -> str:
    """A whole page."""
    shared = {"sections": sections, "versions": versions()}
    return render(template, {**shared, **context})


def render(template: str, context: Context) -> str:
    """A template of this folder; whatever it is given is escaped."""
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
    drawn = (swatch, draw_differences, draw_calibration)
    filters = (number, signed, duration, gloss, *drawn)
    environment.filters |= {each.__name__: each for each in filters}
    return environment


def reason_of(error: Exception) -> str:
    """An error in a few words; one that was not meant for a user has its name.

    >>> reason_of(ValueError("x is no run.")), reason_of(KeyError("x"))
    ('x is no run', "KeyError: 'x'")
    """
    text = str(error).partition("\n")[0].rstrip(".:")
    if isinstance(error, (ValueError, OSError)):
        return text
    return f"{type(error).__name__}: {text}"

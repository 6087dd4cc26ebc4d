"""RUN/report.html: one experiment on one page, made of sections."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from infaug.record.atomic import write_bytes
from infaug.report import sections
from infaug.report.facts import Facts, read_facts
from infaug.report.figures import swatch
from infaug.report.material import Material, had, open_material, or_reason, reason_of
from infaug.report.settings import versions
from infaug.report.toward_use import Seen, look_at_views, write_looks
from infaug.report.verdict import conclude
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
    shared = {"sections": sections, "versions": versions()}
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


REPORT = "report.html"
REMEDY = "Look at the pictures before trusting them."


def write_report(run: Path, name: str | None = None, out: Path | None = None) -> Path:
    """Draw the report of a run, finished or still going.

    Args:
        run: its folder.
        name: what the user calls it; none: the folder.
        out: the file; none: report.html in the folder.

    Raises:
        ValueError: if the folder is no run, or the file cannot be written.
    """
    drawing = Drawing.of(read_facts(run, name or str(run)))
    return write_page(drawing.page(), out or run / REPORT)


def report_at_end(run: Path, name: str, *, is_new: bool) -> list[str]:
    """What `infaug fit` says at its end: warnings about views, and where the report is.

    That of a run that was finished before is drawn again only if it is gone. A run that
    is finished must not fail for its report, whatever comes in between.
    """
    said = f"report: {name}/{REPORT}"
    if not is_new and (run / REPORT).exists():
        return [said]
    try:
        drawing = Drawing.of(read_facts(run, name))
        write_page(drawing.page(), run / REPORT)
        if isinstance(drawing.seen, Seen):
            write_looks(run, drawing.seen)
    except Exception as error:  # see above; `infaug report` tells all of it
        return [f"report: not drawn ({error}); infaug report {name} draws it"]
    return [*(f"warning: {text}" for text in drawing.warnings), said]


def write_page(html: str, path: Path) -> Path:
    """Put a page on disk.

    Raises:
        ValueError: if that fails.
    """
    try:
        write_bytes(path, html.encode())
    except OSError as error:
        raise ValueError(
            f"the report cannot be written to {path} ({error.strerror}): choose "
            "another --out"
        ) from error
    return path


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """What the page is drawn from; its images are loaded once."""

    facts: Facts
    material: Material | ValueError
    """Of a finished learned cell, or why there is none."""
    seen: Seen | ValueError

    @classmethod
    def of(cls, facts: Facts) -> "Drawing":
        """Load what there is."""
        material = or_reason(lambda: open_material(facts))
        seen = or_reason(lambda: look_at_views(had(material)))
        return cls(facts=facts, material=material, seen=seen)

    @property
    def warnings(self) -> list[str]:
        """About views that leave the place of use."""
        if isinstance(self.seen, ValueError):
            return []
        return [f"{text} {REMEDY}" for text in self.seen.warnings.values()]

    def page(self) -> str:
        """The whole page."""
        facts, conclusion = self.facts, conclude(self.facts)
        return page(
            "report.html",
            [*_of_files(facts), *self._of_images(), *_of_books(facts)],
            title=f"{facts.name}: {conclusion.word}",
            facts=facts,
            conclusion=conclusion,
            warnings=self.warnings,
        )

    def _of_images(self) -> list[Section]:
        """Sections that need a finished learned cell and its images."""
        about = self.facts.name
        return [
            section(
                "pictures",
                "Images before and after",
                lambda: sections.pictures(had(self.material)),
                about,
            ),
            section(
                "toward_use",
                "Nearer to use or further",
                lambda: sections.toward_use(had(self.seen)),
                about,
            ),
            section(
                "learned",
                "What E learned, class by class",
                lambda: sections.learned(had(self.material)),
                about,
            ),
            section(
                "interpolation",
                "From one tau to another",
                lambda: sections.way_of_tau(had(self.material)),
                about,
            ),
            section(
                "extremes",
                "Views that help and views that harm",
                lambda: sections.extremes(had(self.material)),
                about,
            ),
        ]


def _of_files(facts: Facts) -> list[Section]:
    return [
        section("results", "Results", lambda: sections.results(facts), facts.name),
        section(
            "curves", "Training", lambda: sections.training_curves(facts), facts.name
        ),
    ]


def _of_books(facts: Facts) -> list[Section]:
    about = facts.name
    return [
        section(
            "predictions",
            "Predicted and refitted",
            lambda: sections.predictions(facts),
            about,
        ),
        section(
            "refreshes",
            "Keeping s_val fresh",
            lambda: sections.refreshing(facts),
            about,
        ),
        section("compute", "Time spent", lambda: sections.compute(facts), about),
        section(
            "settings",
            "Images, settings, command",
            lambda: sections.settings(facts),
            about,
        ),
    ]

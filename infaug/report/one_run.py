"""RUN/report.html: one run on one page."""

from pathlib import Path

from infaug.record.atomic import write_bytes
from infaug.report import sections
from infaug.report.conclusion import conclude
from infaug.report.facts import Facts, read_facts
from infaug.report.material import Material, material_or_reason
from infaug.report.page import Section, page, section

REPORT = "report.html"


def write_report(run: Path, name: str | None = None, out: Path | None = None) -> Path:
    """Draw the report of a run, finished or still going.

    Args:
        run: its folder.
        name: what the user calls it; none: the folder.
        out: the file; none: report.html in the folder.

    Raises:
        ValueError: if the folder is no run, or the file cannot be written.
    """
    facts = read_facts(run, name or str(run))
    return write_page(report_page(facts), out or run / REPORT)


def report_at_end(run: Path, name: str, *, is_new: bool) -> str:
    """What `infaug fit` says of the report: its path, or why there is none.

    That of a run that was finished before is drawn again only if it is gone. A run that
    is finished must not fail for its report, whatever comes in between.
    """
    if not is_new and (run / REPORT).exists():
        return f"{name}/{REPORT}"
    try:
        write_report(run, name)
    except Exception as error:  # see above; `infaug report` tells all of it
        return f"not drawn ({error}); infaug report {name} draws it"
    return f"{name}/{REPORT}"


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


def report_page(facts: Facts) -> str:
    """The whole page."""
    conclusion = conclude(facts)
    return page(
        "report.html",
        [*_of_files(facts), *_of_images(facts), *_of_books(facts)],
        title=f"{facts.name}: {conclusion.word}",
        facts=facts,
        conclusion=conclusion,
    )


def _of_files(facts: Facts) -> list[Section]:
    return [
        section("results", "Results", lambda: sections.results(facts), facts.name),
        section(
            "curves", "Training", lambda: sections.training_curves(facts), facts.name
        ),
    ]


def _of_images(facts: Facts) -> list[Section]:
    """Sections that need a finished learned cell and its images, loaded once."""
    found = material_or_reason(facts)

    def material() -> Material:
        if isinstance(found, ValueError):
            raise found
        return found

    about = facts.name
    return [
        section(
            "pictures",
            "Images before and after",
            lambda: sections.pictures(material()),
            about,
        ),
        section(
            "toward_use",
            "Nearer to use or further",
            lambda: sections.toward_use(material()),
            about,
        ),
        section(
            "learned",
            "What E learned, class by class",
            lambda: sections.learned(material()),
            about,
        ),
        section(
            "interpolation",
            "From one tau to another",
            lambda: sections.way_of_tau(material()),
            about,
        ),
        section(
            "extremes",
            "Views that help and views that harm",
            lambda: sections.extremes(material()),
            about,
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

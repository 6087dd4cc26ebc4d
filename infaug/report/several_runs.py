"""Several runs side by side on one page."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from infaug.report import sections
from infaug.report.facts import Facts, read_facts
from infaug.report.figures import draw_curves, draw_spread, values_of
from infaug.report.gallery import before_and_after
from infaug.report.learned import (
    QUANTITIES,
    Group,
    groups_of,
    measure,
    sample_of_classes,
)
from infaug.report.logs import METRICS, curves, spent
from infaug.report.material import Material, open_material, or_reason
from infaug.report.one_run import Section, page, section, write_page
from infaug.report.settings import differing
from infaug.report.standing import Standing, standings
from infaug.report.verdict import conclude
from infaug.report.words import listed
from infaug.words import plural

NUM_IMAGES = 4


def write_comparison(runs: Sequence[Path], names: Sequence[str], out: Path) -> Path:
    """Draw several runs side by side, finished or still going.

    Raises:
        ValueError: if one of the folders is no run, or the file cannot be written.
    """
    facts = [
        replace(read_facts(run, name), name=short)
        for run, name, short in zip(runs, names, short_names(names), strict=True)
    ]
    return write_page(comparison_page(facts), out)


def short_names(names: Sequence[str]) -> list[str]:
    """The last parts of the names that tell them apart.

    >>> short_names(["runs/a", "runs/b/"]), short_names(["x/run", "y/run"])
    (['a', 'b'], ['x/run', 'y/run'])
    """
    parts = [name.rstrip("/").split("/") for name in names]
    for count in range(1, max(map(len, parts)) + 1):
        shorter = ["/".join(part[-count:]) for part in parts]
        if len(set(shorter)) == len(shorter):
            return shorter
    return [f"{k + 1}: {name}" for k, name in enumerate(names)]


def comparison_page(runs: Sequence[Facts]) -> str:
    """The whole page."""
    found = [or_reason(partial(open_material, facts)) for facts in runs]
    names = [facts.name for facts in runs]
    settings = differing([facts.config for facts in runs])
    lead = "Rows of one run are paired by seed; rows of different runs are not. "
    if any(name.startswith("data.") for name, _ in settings):
        lead += "These runs differ in their images or splits, too, so their numbers "
        lead += "say little of one another."
    return page(
        "runs.html",
        _sections(runs, found, settings),
        title=f"Runs {listed(names)}",
        headline=f"{plural(len(runs), 'run')} side by side",
        lead=lead,
    )


Found = Material | ValueError


def _sections(
    runs: Sequence[Facts], found: Sequence[Found], settings: Sequence[Any]
) -> list[Section]:
    def verdicts() -> dict[str, Any]:
        return {"runs": [(facts.name, conclude(facts)) for facts in runs]}

    def differences() -> dict[str, Any]:
        return {"names": [facts.name for facts in runs], "settings": settings}

    return [
        section("verdicts", "Verdicts", verdicts),
        section("tables", "Results", lambda: tables(runs)),
        section("differences", "Settings that differ", differences),
        section("curves_of_runs", "Training", lambda: all_curves(runs)),
        section("learned_by_runs", "What E learned", lambda: learned(runs, found)),
        section("galleries", "Images before and after", lambda: galleries(runs, found)),
        section("times", "Time spent", lambda: times(runs)),
    ]


def tables(runs: Sequence[Facts]) -> dict[str, Any]:
    """Every row that some run has, with the mean of each run."""
    each = [{line.row: line for line in standings(facts)} for facts in runs]
    rows = list(dict.fromkeys(row for lines in each for row in lines))
    if not rows:
        raise ValueError("no run has settled which rows it has")
    lines: list[tuple[str, list[Standing | None]]] = [
        (row, [lines.get(row) for lines in each]) for row in rows
    ]
    parts = {row for lines in each for row, line in lines.items() if line.is_part}
    names = [facts.name for facts in runs]
    return {"names": names, "lines": lines, "parts": parts}


def all_curves(runs: Sequence[Facts]) -> dict[str, Any]:
    """Selection accuracy and loss of each run, their axes alike."""
    groups = []
    rows: list[str] = []
    for metric in METRICS[:2]:
        found = [(facts.name, curves(facts, metric.key)) for facts in runs]
        known = [(name, lines) for name, lines in found if lines]
        if not known:
            raise ValueError("no run has assessed its selection images yet")
        among = [value for _, lines in known for value in values_of(lines)]
        charts = [(name, draw_curves(lines, metric, among)) for name, lines in known]
        groups.append((metric.title, charts))
        rows += [row for _, lines in known for row in lines]
    return {"groups": groups, "rows": list(dict.fromkeys(rows))}


def learned(runs: Sequence[Facts], found: Sequence[Found]) -> dict[str, Any]:
    """All views of each run together, a line for each run."""
    groups: list[Group] = []
    missing = []
    for facts, material in zip(runs, found, strict=True):
        if isinstance(material, ValueError):
            missing.append((facts.name, str(material)))
            continue
        images = sample_of_classes(material.splits.train)
        transform = material.transforms[material.row]
        views = measure(transform, images, facts.config.estimator)
        groups.append(groups_of(views, facts.name)[0])
    if not groups:
        raise ValueError("no run has finished a learned row whose images are at hand")
    charts = [draw_spread(groups, quantity, None) for quantity in QUANTITIES]
    return {"charts": charts, "missing": missing}


def galleries(runs: Sequence[Facts], found: Sequence[Found]) -> dict[str, Any]:
    """A few images of each run before and after."""
    shown, missing = [], []
    for facts, material in zip(runs, found, strict=True):
        if isinstance(material, ValueError):
            missing.append((facts.name, str(material)))
            continue
        images = before_and_after(
            material.transforms[material.row],
            material.splits.train,
            facts.config.estimator,
            NUM_IMAGES,
        )
        title = f"{facts.name}: {material.row}, seed {material.seed}"
        shown.append((title, images, sections.is_large(material)))
    return {"galleries": shown, "missing": missing}


def times(runs: Sequence[Facts]) -> dict[str, Any]:
    """Time of each run."""
    found = [(facts.name, spent(facts) if facts.timings else None) for facts in runs]
    return {"runs": found}

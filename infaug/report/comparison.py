"""Several experiments side by side on one page."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from infaug.report.experiment_data import ExperimentData, differing, read_experiment
from infaug.report.figures import draw_curves, values_of
from infaug.report.logs import METRICS, curves
from infaug.report.page import page, section, write_page
from infaug.report.results import method_results
from infaug.report.verdict import conclude
from infaug.report.words import listed
from infaug.words import plural


def write_comparison(runs: Sequence[Path], names: Sequence[str], out: Path) -> Path:
    """Draw several experiments side by side, finished or still going.

    Raises:
        ValueError: if one of the folders is none, or the file cannot be written.
    """
    experiments = [
        replace(read_experiment(run, name), name=short)
        for run, name, short in zip(runs, names, short_names(names), strict=True)
    ]
    settings = differing([each.config for each in experiments])
    lead = "Methods of one experiment are paired by seed; those of several are not. "
    if any(name.startswith("data.") for name, _ in settings):
        lead += "These experiments differ in their images or splits, too, so their "
        lead += "numbers say little of one another."
    shown = [each.name for each in experiments]
    conclusions = [(each.name, conclude(each)) for each in experiments]
    html = page(
        "runs.html",
        [
            section("verdicts", "Verdicts", lambda: {"runs": conclusions}),
            section("tables", "Results", lambda: _tables(experiments)),
            section(
                "differences",
                "Settings that differ",
                lambda: {"names": shown, "settings": settings},
            ),
            section("curves_of_runs", "Training", lambda: _curves(experiments)),
        ],
        title=f"Experiments {listed(shown)}",
        headline=f"{plural(len(experiments), 'experiment')} side by side",
        lead=lead,
    )
    return write_page(html, out)


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


def _tables(experiments: Sequence[ExperimentData]) -> dict[str, Any]:
    """Every method that some experiment has, with the mean of each."""
    each = [{line.method: line for line in method_results(e)} for e in experiments]
    methods = list(dict.fromkeys(method for lines in each for method in lines))
    if not methods:
        raise ValueError("which methods are run is not resolved yet")
    return {
        "names": [experiment.name for experiment in experiments],
        "lines": [
            (method, [lines.get(method) for lines in each]) for method in methods
        ],
    }


def _curves(experiments: Sequence[ExperimentData]) -> dict[str, Any]:
    """Selection accuracy and loss of each experiment, their axes alike."""
    groups = []
    methods: list[str] = []
    for metric in METRICS[:2]:
        found = [(each.name, curves(each, metric.key)) for each in experiments]
        known = [(name, lines) for name, lines in found if lines]
        if not known:
            raise ValueError("no experiment has assessed its selection images yet")
        among = [value for _, lines in known for value in values_of(lines)]
        charts = [(name, draw_curves(lines, metric, among)) for name, lines in known]
        groups.append((metric.title, charts))
        methods += [method for _, lines in known for method in lines]
    return {"groups": groups, "methods": list(dict.fromkeys(methods))}

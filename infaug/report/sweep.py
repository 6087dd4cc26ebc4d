"""Pictures of a sweep: its trials as lines over their settings, and what mattered."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from infaug.config import Objective
from infaug.experiment.sweep.best import common_steps
from infaug.experiment.sweep.importance import Importance
from infaug.experiment.sweep.ledger import Tried
from infaug.experiment.sweep.space import Space
from infaug.words import plural


def draw_parallel(
    trials: Sequence[Tried], space: Space, objective: Objective, best: str, path: Path
) -> None:
    """Every trial as a line over its settings, coloured by how good it was.

    The last axis is the objective at the last step that all trials reached, best on
    top; trials that went on to the end are drawn firmly, the best one thickly.
    """
    seen = [trial for trial in trials if trial.rounds]
    steps = common_steps(seen)
    reports = [report for trial in seen if (report := trial.at(steps))]
    merits = np.array([report.merit(objective) for report in reports])
    ranks = merits.argsort().argsort() / max(len(merits) - 1, 1)
    spread = np.ptp(merits) or 1.0
    figure = Figure(figsize=(1.6 * len(space) + 2.5, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for trial, rank, merit in zip(seen, ranks, merits, strict=True):
        places = [space[name].place(trial.changes[name]) for name in space]
        axes.plot(
            [*places, (merit - merits.min()) / spread],
            color=_colour(float(rank)),
            linewidth=3.0 if trial.name == best else 1.0,
            alpha=1.0 if trial.end == "completed" else 0.4,
            zorder=3 if trial.name == best else 2,
        )
    names = [name.replace(".", "\n") for name in space]
    axes.set_xticks(range(len(space) + 1), [*names, f"{objective}\nat step {steps}"])
    axes.tick_params(axis="x", labelsize=8)
    axes.set_yticks([])
    ends = [(str(d.ends[0]), str(d.ends[-1])) for d in space.values()]
    found = [report.loss if objective == "loss" else report.top1 for report in reports]
    worst, top = found[int(merits.argmin())], found[int(merits.argmax())]
    for x, (low, high) in enumerate([*ends, (f"{worst:.3g}", f"{top:.3g}")]):
        axes.axvline(x, color="0.8", linewidth=1, zorder=1)
        axes.annotate(low, (x, -0.03), ha="center", va="top", fontsize=7)
        axes.annotate(high, (x, 1.03), ha="center", va="bottom", fontsize=7)
    axes.set_ylim(-0.1, 1.1)
    axes.set_title(f"{plural(len(seen), 'trial')}; {best} is thick", fontsize=9)
    figure.savefig(path, dpi=110)


def draw_importance(found: Importance, path: Path) -> None:
    """A bar for each setting, the most important on top."""
    figure = Figure(figsize=(6, 0.35 * len(found.by_name) + 1.3), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    names = list(found.by_name)[::-1]
    axes.barh(names, [found.by_name[name] for name in names], color="0.4")
    axes.tick_params(labelsize=8)
    axes.set_xlabel("R² lost when the setting is shuffled among the trials", fontsize=8)
    axes.set_title(
        f"{found.num_trials} trials at step {found.steps}; R² of the forest on trials "
        f"left out: {found.explained:.2f}",
        fontsize=8,
    )
    figure.savefig(path, dpi=110)


def _colour(rank: float) -> tuple[float, float, float, float]:
    return colormaps["viridis"](rank)

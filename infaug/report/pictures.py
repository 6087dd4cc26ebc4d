"""PNG that commands write: leaderboards, influences, sweeps."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infaug.config import Objective
from infaug.experiment.leaderboard import Board, Entry
from infaug.experiment.sweep.ledger import Tried
from infaug.experiment.sweep.results import common_steps
from infaug.experiment.sweep.space import Space
from infaug.influence.validate import Validation
from infaug.training.methods import METHODS
from infaug.trust.predictions import Trust
from infaug.words import plural

COLOURS = {True: "tab:orange", False: "0.35"}  # learned, not learned
METHOD_INCHES = 0.27  # inches of a method


def draw_leaderboard(boards: Sequence[Board], path: Path) -> None:
    """A panel for each problem; best on top, learned methods in another colour.

    The interval is of 95 % over seeds, small dots are single seeds, the dashed line is
    the best fixed policy by selection. Methods that were not run are left out.
    """
    shown = [[e for e in board.entries if e.tops][::-1] for board in boards]
    max_rows = max(map(len, shown), default=0)
    size = (4.6 * len(boards), METHOD_INCHES * max_rows + 1.2)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(boards), squeeze=False)[0]
    for axes, board, entries in zip(panels, boards, shown, strict=True):
        _draw_board(axes, board, entries)
    figure.savefig(path, dpi=110)


def _draw_board(axes: Axes, board: Board, entries: Sequence[Entry]) -> None:
    for y, entry in enumerate(entries):
        colour = COLOURS[METHODS[entry.method].is_learned]
        assert entry.top1 is not None, "only what was run is drawn"
        tops = list(entry.tops.values())
        axes.plot(tops, [y] * len(tops), ".", color=colour, alpha=0.4)
        axes.plot(entry.top1, y, "o", color=colour, markersize=7)
        if entry.low is not None and entry.high is not None:
            axes.hlines(y, entry.low, entry.high, color=colour, linewidth=2)
        if entry.method == board.reference:
            axes.axvline(entry.top1, color="0.6", linestyle="--", linewidth=1, zorder=0)
    # Few seeds have wide intervals: what is measured decides what is seen.
    tops = [top for entry in entries for top in entry.tops.values()]
    if tops:
        margin = max(0.15 * (max(tops) - min(tops)), 0.5)
        axes.set_xlim(min(tops) - margin, max(tops) + margin)
    axes.set_yticks(range(len(entries)), [entry.method for entry in entries])
    axes.tick_params(labelsize=8)
    axes.set_xlabel("top-1 on test, %", fontsize=8)
    axes.set_title(fill(board.problem, 44), fontsize=9)


def draw_scatter(trust: Trust, title: str, path: Path) -> None:
    """Two panels: predicted at the refitted head, and as the run predicts."""
    figure = Figure(figsize=(9, 4.2), layout="compressed")
    panels = (("at the refitted head", trust.refitted), ("as the run does", trust.live))
    for axis, (name, found) in zip(figure.subplots(1, 2), panels, strict=True):
        x, y = found.predicted.numpy(force=True), found.actual.numpy(force=True)
        axis.axline((0, 0), slope=1, color="0.7", linewidth=1)
        axis.scatter(x, y, s=12)
        axis.set_xlabel(f"predicted {name}: I_aug / N, nats")
        axis.set_title(measures(found), fontsize=9)
    figure.axes[0].set_ylabel("head refitted: change of validation loss, nats")
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=110)


def measures(found: Validation) -> str:
    """The four measures of agreement in words."""
    return (
        f"Pearson {found.pearson:.4f}, Spearman {found.spearman:.4f}, "
        f"slope {found.slope:.3f}, signs {100 * found.sign_agreement:.0f} %"
    )


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
    axes = figure.add_subplot()
    for trial, rank, merit in zip(seen, ranks, merits, strict=True):
        places = [space[name].place(trial.changes[name]) for name in space]
        axes.plot(
            [*places, (merit - merits.min()) / spread],
            color=colormaps["viridis"](float(rank)),
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

"""The picture of a leaderboard: a dot and an interval for each method."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from infaug.experiment.leaderboard import Board, Entry
from infaug.training.rows import ROWS

COLOURS = {True: "tab:orange", False: "0.35"}  # learned, not learned
HEIGHT = 0.27  # inches of a method


def draw_leaderboard(boards: Sequence[Board], path: Path) -> None:
    """A panel for each problem; best on top, learned methods in another colour.

    The interval is of 95 % over seeds, small dots are single seeds, the dashed line is
    the best fixed policy by selection. Methods that were not run are left out.
    """
    shown = [[e for e in board.entries if e.tops][::-1] for board in boards]
    most = max(map(len, shown), default=0)
    size = (4.6 * len(boards), HEIGHT * most + 1.2)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(boards), squeeze=False)[0]
    for axes, board, entries in zip(panels, boards, shown, strict=True):
        _draw(axes, board, entries)
    figure.savefig(path, dpi=110)


def _draw(axes: Axes, board: Board, entries: Sequence[Entry]) -> None:
    for y, entry in enumerate(entries):
        colour = COLOURS[ROWS[entry.method].is_learned]
        assert entry.top1 is not None, "only what was run is drawn"
        axes.plot(entry.tops, [y] * len(entry.tops), ".", color=colour, alpha=0.4)
        axes.plot(entry.top1, y, "o", color=colour, markersize=7)
        if entry.low is not None and entry.high is not None:
            axes.hlines(y, entry.low, entry.high, color=colour, linewidth=2)
        if entry.method == board.reference:
            axes.axvline(entry.top1, color="0.6", linestyle="--", linewidth=1, zorder=0)
    # Few seeds have wide intervals: what is measured decides what is seen.
    tops = [top for entry in entries for top in entry.tops]
    if tops:
        margin = max(0.15 * (max(tops) - min(tops)), 0.5)
        axes.set_xlim(min(tops) - margin, max(tops) + margin)
    axes.set_yticks(range(len(entries)), [entry.method for entry in entries])
    axes.tick_params(labelsize=8)
    axes.set_xlabel("top-1 on test, %", fontsize=8)
    axes.set_title(fill(board.problem, 44), fontsize=9)

"""What a person sees while a run goes on: one line, renewed.

On a terminal the line is redrawn; in a log a new one appears every so often. Progress
is counted in steps; the time left comes from the seconds each kind of step took so far.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

LOG_EVERY_S = 15.0


class Display:
    """Progress of a run; silent unless `shown`.

    Args:
        steps_of_cell: for each cell, steps of every phase.
        num_rounds: for each cell, its rounds.
        shown: whether anything is printed.
    """

    def __init__(
        self,
        steps_of_cell: Sequence[Mapping[str, int]],
        num_rounds: Sequence[int],
        *,
        shown: bool,
    ):
        self.num_cells = len(steps_of_cell)
        self.left = [dict(steps) for steps in steps_of_cell]
        self.num_rounds = num_rounds
        self.shown = shown
        self.console = Console(stderr=True)
        self._spent: dict[str, list[float]] = {}
        self._last = time.perf_counter()
        self._said = 0.0
        self._loss = ""
        self._live = Live(console=self.console, auto_refresh=False, transient=True)
        if shown and self.console.is_terminal:
            self._live.start()

    def say(self, message: str) -> None:
        """A line that stays."""
        if self.shown:
            self.console.print(message, highlight=False, soft_wrap=True)

    def skip_cell(self, cell: int) -> None:
        """A whole cell that is already finished."""
        self.left[cell] = {}

    def skip(self, cell: int, phase: str, steps: int) -> None:
        """Steps that a checkpoint or a finished cell has already done."""
        self.left[cell][phase] = max(0, self.left[cell][phase] - steps)

    def step(
        self, cell: int, labels: Mapping[str, Any], round_: int, phase: str,
        steps: range, step: int, metrics: Mapping[str, Any],
    ) -> None:  # fmt: skip
        """Count a step and renew the line."""
        now = time.perf_counter()
        if phase in self._spent:
            self._spent[phase][0] += now - self._last
            self._spent[phase][1] += 1
        else:
            self._spent[phase] = [0.0, 0.0]  # The first step warms up: not typical.
        spent = self._spent[phase]
        self._last = now
        self.left[cell][phase] -= 1
        if "selection_loss" in metrics:
            self._loss = f"  validation loss {metrics['selection_loss']:.3f}"
        if self.shown:
            rate = spent[1] / max(spent[0], 1e-9)
            self._renew(
                f"{labels['row']} seed {labels['seed']} "
                f"[{cell + 1}/{self.num_cells}]  "
                f"round {round_ + 1}/{self.num_rounds[cell]}  {phase} "
                f"{step}/{steps.stop}  {_rate(rate)}{self._loss}"
                f"  ETA {_clock(self._seconds_left())}"
            )

    def _renew(self, line: str) -> None:
        if self._live.is_started:
            self._live.update(Text(line), refresh=self._last - self._said > 0.1)
            if self._last - self._said > 0.1:
                self._said = self._last
        elif self._last - self._said > LOG_EVERY_S:
            self._said = self._last
            self.console.print(line, highlight=False, soft_wrap=True)

    def _seconds_left(self) -> float:
        seconds = 0.0
        for steps in self.left:
            for phase, count in steps.items():
                spent, done = self._spent.get(phase, (0.0, 0.0))
                seconds += count * (spent / done if done else 0.0)
        return seconds

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live.is_started:
            self._live.stop()


def _rate(steps: float) -> str:
    """Steps a second, or seconds a step.

    >>> _rate(12.3), _rate(0.25)
    ('12 steps/s', '4.0 s/step')
    """
    return (
        f"{steps:.0f} steps/s"
        if steps >= 1 or steps == 0
        else f"{1 / steps:.1f} s/step"
    )


def _clock(seconds: float) -> str:
    """Minutes and seconds.

    >>> _clock(125.0)
    '2:05'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"

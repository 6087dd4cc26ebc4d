"""What a person sees while trainings run: one line, in a log once a minute.

Progress is counted in steps; the time left comes from the seconds each kind of step
took so far.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from infaug.record.steps import Interval
from infaug.words import memory

LOG_EVERY_S = 60.0
REDRAW_EVERY_S = 0.1


class Line:
    """A line on stderr; silent unless `shown`."""

    def __init__(self, *, shown: bool, now: Callable[[], float] = time.monotonic):
        self.shown = shown
        self._now = now
        self.console = Console(stderr=True)
        self._shown_at = -math.inf
        self._live = Live(console=self.console, auto_refresh=False, transient=True)
        if shown and self.console.is_terminal:
            self._live.start()

    def say(self, message: str) -> None:
        """A line that stays."""
        if self.shown:
            self.console.print(message, highlight=False, soft_wrap=True)

    def update(self, text: Callable[[], str]) -> None:
        """Put a line in place of the last one, unless that has hardly been seen."""
        every = REDRAW_EVERY_S if self._live.is_started else LOG_EVERY_S
        now = self._now()
        if not self.shown or now - self._shown_at < every:
            return
        self._shown_at = now
        if self._live.is_started:
            self._live.update(Text(text()), refresh=True)
        else:
            self.say(text())

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live.is_started:
            self._live.stop()


class ImageCount:
    """Images done, images a second, and the time left, on one line."""

    def __init__(self, *, shown: bool):
        self._line = Line(shown=shown)
        self._total = self._before = self._here = 0
        self._began = time.perf_counter()

    def begin(self, total: int, done: int) -> Callable[[int], None]:
        """So many images in all, so many done before; call what it returns for more."""
        self._total, self._before = total, done
        self._began = time.perf_counter()
        if done:
            self._line.say(f"{done} of {total} images were done before")
        return self.step

    def step(self, count: int) -> None:
        """So many more are done."""
        self._here += count
        self._line.update(self._text)

    def _text(self) -> str:
        rate = self._here / max(time.perf_counter() - self._began, 1e-9)
        done = self._before + self._here
        left = clock((self._total - done) / rate)
        return f"{done}/{self._total}  {rate:.0f} images/s  ETA {left}"

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._line.close()


class Display:
    """Progress of a run; silent unless `shown`. Trainings go by their numbers."""

    def __init__(
        self,
        names: Sequence[str],
        steps_of: Sequence[Mapping[str, int]],
        num_rounds: Sequence[int],
        *,
        shown: bool,
        at_a_time: int = 1,
        now: Callable[[], float] = time.monotonic,
    ):
        self.names = names
        self.left = [dict(steps) for steps in steps_of]
        self.num_rounds = num_rounds
        self._now, self._at_a_time = now, at_a_time
        self._line = Line(shown=shown, now=now)
        self._spent: dict[str, list[float]] = {}
        self._last: dict[int, float] = {}
        self._running: dict[int, str] = {}
        self._pace = self._loss = ""

    def say_of(self, training: int, message: str) -> None:
        """A line about a training that stays."""
        self._line.say(f"{self.names[training]}: {message}")

    def skip_training(self, training: int) -> None:
        """A whole training that is already finished."""
        self.left[training] = {}
        self._running.pop(training, None)

    def skip(self, training: int, phase: str, steps: int) -> None:
        """Steps that a checkpoint or a finished training has already done."""
        self.left[training][phase] = max(0, self.left[training][phase] - steps)

    def step(
        self, training: int, round_: int, phase: str, steps: range, step: int,
        metrics: Mapping[str, Any],
    ) -> None:  # fmt: skip
        """Count a step and update the line."""
        now = self._now()
        if phase in self._spent:
            self._spent[phase][0] += now - self._last.get(training, now)
            self._spent[phase][1] += 1
        else:
            self._spent[phase] = [0.0, 0.0]  # The first step warms up: not typical.
        spent = self._spent[phase]
        self._last[training] = now
        self.left[training][phase] -= 1
        if "selection_loss" in metrics:
            self._loss = f"  validation loss {metrics['selection_loss']:.3f}"
        self._running[training] = (
            f"{self.names[training]} [{training + 1}/{len(self.names)}]  "
            f"round {round_ + 1}/{self.num_rounds[training]}  "
            f"{phase} {step}/{steps.stop}"
        )
        self._line.update(
            lambda: (
                f"{'  |  '.join(self._running.values())}{_rate(spent)}{self._pace}"
                f"{self._loss}{self._eta()}"
            )
        )

    def timing(self, interval: Interval) -> None:
        """What the last steps took, for the lines to come."""
        self._pace = _pace(interval)

    def _eta(self) -> str:
        """The time left; of kinds of steps not seen yet, only that there are some."""
        seconds, is_whole = 0.0, True
        for steps in self.left:
            for phase, count in steps.items():
                spent, done = self._spent.get(phase, (0.0, 0.0))
                seconds += count * spent / done if done else 0.0
                is_whole &= bool(done or not count)
        if not (seconds or is_whole):
            return ""
        seconds /= self._at_a_time
        return f"  ETA {'' if is_whole else 'at least '}{clock(seconds)}"

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._line.close()


def _rate(spent: Sequence[float]) -> str:
    """Steps a second, or seconds a step; nothing of none.

    >>> _rate((2.0, 24)), _rate((8.0, 2)), _rate((0.0, 0))
    ('  12 steps/s', '  4.0 s/step', '')
    """
    seconds, steps = spent
    if not steps:
        return ""
    rate = steps / max(seconds, 1e-9)
    return f"  {rate:.0f} steps/s" if rate >= 1 else f"  {1 / rate:.1f} s/step"


def _pace(interval: Interval) -> str:
    """Images a second of this worker, what it waits for, and the GPU memory it takes.

    >>> _pace(Interval(steps=2, seconds=4, parts={"data": 1}, counts={"images": 64}))
    '  16 images/s a worker  data 25 %'
    """
    if interval.images_a_second is None:
        return ""
    shares = {
        part: interval.parts.get(part, 0.0) / max(interval.seconds, 1e-9)
        for part in ("data", "peers")
    }
    parts = [f"{interval.images_a_second:,.0f} images/s a worker"]
    parts += [f"{part} {share:.0%}" for part, share in shares.items() if share >= 0.01]
    if interval.gpu_gib is not None:
        parts.append(f"GPU {memory(interval.gpu_gib)}")
    return "  " + "  ".join(parts).replace("%", " %")


def clock(seconds: float) -> str:
    """Minutes and seconds.

    >>> clock(125.0)
    '2:05'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"

"""One line that tells how far it is, renewed.

On a terminal the line is redrawn; in a log a new one appears once a minute.
"""

import math
import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.text import Text

LOG_EVERY_S = 60.0
REDRAW_EVERY_S = 0.1


class Line:
    """A line on stderr; silent unless `shown`."""

    def __init__(self, *, shown: bool, now: Callable[[], float] = time.monotonic):
        self.shown = shown
        self._now = now
        self.console = Console(stderr=True)
        self._said = -math.inf
        self._live = Live(console=self.console, auto_refresh=False, transient=True)
        if shown and self.console.is_terminal:
            self._live.start()

    def say(self, message: str) -> None:
        """A line that stays."""
        if self.shown:
            self.console.print(message, highlight=False, soft_wrap=True)

    def renew(self, text: Callable[[], str]) -> None:
        """Put a line in place of the last one, unless that has hardly been seen."""
        every = REDRAW_EVERY_S if self._live.is_started else LOG_EVERY_S
        now = self._now()
        if not self.shown or now - self._said < every:
            return
        self._said = now
        if self._live.is_started:
            self._live.update(Text(text()), refresh=True)
        else:
            self.say(text())

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live.is_started:
            self._live.stop()


def clock(seconds: float) -> str:
    """Minutes and seconds.

    >>> clock(125.0)
    '2:05'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"

"""One line that tells how far it is, renewed.

On a terminal the line is redrawn; in a log a new one appears every so often.
"""

import time

from rich.console import Console
from rich.live import Live
from rich.text import Text

LOG_EVERY_S = 15.0
REDRAW_EVERY_S = 0.1


class Line:
    """A line on stderr; silent unless `shown`."""

    def __init__(self, *, shown: bool):
        self.shown = shown
        self.console = Console(stderr=True)
        self._said = 0.0
        self._live = Live(console=self.console, auto_refresh=False, transient=True)
        if shown and self.console.is_terminal:
            self._live.start()

    def say(self, message: str) -> None:
        """A line that stays."""
        if self.shown:
            self.console.print(message, highlight=False, soft_wrap=True)

    def renew(self, line: str) -> None:
        """Put `line` in place of the last one, unless that has hardly been seen."""
        every = REDRAW_EVERY_S if self._live.is_started else LOG_EVERY_S
        now = time.perf_counter()
        if not self.shown or now - self._said <= every:
            return
        self._said = now
        if self._live.is_started:
            self._live.update(Text(line), refresh=True)
        else:
            self.say(line)

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

"""Progress of work that is counted in images."""

import time

from infaug.record.display import Line, clock


class ImageCount:
    """How many are done, how many a second, and the time left, on one line."""

    def __init__(self, *, shown: bool):
        self._line = Line(shown=shown)
        self._total = self._before = self._here = 0
        self._began = time.perf_counter()

    def begin(self, total: int, done: int) -> None:
        """So many images in all, so many of them done before."""
        self._total, self._before = total, done
        self._began = time.perf_counter()
        if done:
            self._line.say(f"{done} of {total} images were done before")

    def step(self, count: int) -> None:
        """So many more are done."""
        self._here += count
        self._line.renew(self._text)

    def _text(self) -> str:
        rate = self._here / max(time.perf_counter() - self._began, 1e-9)
        done = self._before + self._here
        left = clock((self._total - done) / rate)
        return f"{done}/{self._total}  {rate:.0f} images/s  ETA {left}"

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._line.close()

"""What a process's time went to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter


@dataclass(frozen=True)
class Measured:
    """What a timer held."""

    seconds: dict[str, float]
    """By part."""
    counts: dict[str, float]
    """By name."""


class Timer:
    """Seconds by part and counts by name, since they were last taken.

    Parts do not overlap: while an inner one is timed, the outer one stands still. So
    parts add up to at most the seconds of the work around them, and what is left is the
    work itself.

    Seconds are this process's, and no device is waited for in order to read them. A GPU
    works on behind the process: what was queued for it counts for the part that first
    waits for a result. In a step of training that is the loss, which is no part of its
    own; only on a CPU are the other parts what their computation took.
    """

    def __init__(self, clock: Callable[[], float] = perf_counter):
        self.clock = clock
        self._found = Measured({}, {})
        self._part: str | None = None
        self._since = 0.0

    @property
    def part(self) -> str | None:
        """What the time counts for now; also for other threads to read."""
        return self._part

    @contextmanager
    def time(self, part: str) -> Iterator[None]:
        """Count the time until the end of the block for `part`."""
        outer = self._turn_to(part)
        try:
            yield
        finally:
            self._turn_to(outer)

    def _turn_to(self, part: str | None) -> str | None:
        """From now on time counts for `part`; what it counted for until now."""
        now, before = self.clock(), self._part
        if before is not None:
            _add(self._found.seconds, before, now - self._since)
        self._part, self._since = part, now
        return before

    def count(self, name: str, amount: float) -> None:
        """Add to a count."""
        _add(self._found.counts, name, amount)

    def take(self) -> Measured:
        """What was found since this was last asked for.

        >>> timer = Timer(iter([1.0, 4.0, 6.0, 7.0]).__next__)
        >>> with timer.time("data"):
        ...     with timer.time("peers"):
        ...         timer.count("images", 8)
        >>> timer.take()
        Measured(seconds={'data': 4.0, 'peers': 2.0}, counts={'images': 8})
        >>> timer.take()
        Measured(seconds={}, counts={})
        """
        found, self._found = self._found, Measured({}, {})
        return found


def _add(amounts: dict[str, float], name: str, amount: float) -> None:
    amounts[name] = amounts.get(name, 0) + amount

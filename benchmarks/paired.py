"""Timings that are compared: taken in turns, their ratios in pairs.

What else the machine does hits the ways of one turn alike; a ratio within a turn is
therefore worth more than one of medians.
"""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def timed(act: Callable[[], Any]) -> Callable[[], float]:
    """The seconds that `act` takes."""

    def clock() -> float:
        began = time.perf_counter()
        act()
        return time.perf_counter() - began

    return clock


def take_turns(
    ways: Mapping[str, Callable[[], float]], repeats: int
) -> dict[str, list[float]]:
    """What every way says in every turn; the order rotates."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for turn in range(repeats):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            found[name].append(ways[name]())
    return found


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Order statistics that hold the median with 95 %, or all if too few.

    >>> interval(range(1, 21))
    (6, 15)
    """
    ordered, rank, n = sorted(values), 0, len(values)
    while 2 * sum(math.comb(n, k) for k in range(rank + 1)) / 2**n <= 0.05:
        rank += 1
    rank = max(rank - 1, 0)
    return ordered[rank], ordered[n - 1 - rank]


def ratio(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Median of the paired ratios, and its interval.

    >>> ratio([2.0, 6.0, 2.0], [1.0, 2.0, 2.0])
    [2.0, 1.0, 3.0]
    """
    pairs = [a / b for a, b in zip(over, under, strict=True)]
    return [round(x, 3) for x in (statistics.median(pairs), *interval(pairs))]


def share_of_gain(times: Mapping[str, Sequence[float]]) -> float:
    """What two actors gain over one, of what two processes do; by medians.

    >>> share_of_gain({"actors 1": [2.0], "actors 2": [1.0],
    ...     "processes 1": [4.0], "processes 2": [1.0]})
    0.5
    """
    actors, processes = (
        statistics.median(times[f"{who} 1"]) / statistics.median(times[f"{who} 2"])
        for who in ("actors", "processes")
    )
    return actors / processes

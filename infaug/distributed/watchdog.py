"""A worker that hangs ends itself, so that Ray starts its training again.

Ray notices a process that does not answer, and peers notice one that keeps them waiting
in a collective. What is left is a worker that answers and does nothing: it waits for a
disk or a lock that never comes.
"""

import os
import sys
import threading
import time
from collections.abc import Callable

from infaug.timer import Timer

HANG_FACTOR = 20.0  # times the longest step so far
MIN_HANG_S = 300.0  # the pauses of a slow disk are no hang
CHECK_S = 5.0
WAITING = ("peers", "s_val")  # for others, with limits of their own
IDLE_SHARE = 0.02  # of a core: Ray's own threads in a worker take less


class Watchdog:
    """Calls `end` when no step is done for too long though nothing keeps the worker.

    A worker that computes does not hang, as in an evaluation; nor does one that waits
    for its peers, which `COLLECTIVE_TIMEOUT_S` limits, or for a solver pool.

    Args:
        timer: says what the worker waits for.
        end: receives why.
        min_s: how long a hang lasts at least.
        check_s: how often to look.
    """

    def __init__(
        self,
        timer: Timer,
        end: Callable[[str], None] | None = None,
        *,
        min_s: float = MIN_HANG_S,
        check_s: float = CHECK_S,
    ):
        self.timer, self.end = timer, end or _exit
        self.min_s, self.check_s = min_s, check_s
        self.longest_s = 0.0
        self.step_at: float | None = None
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def step(self) -> None:
        """A step is done."""
        now = time.monotonic()
        if self.step_at is not None:
            self.longest_s = max(self.longest_s, now - self.step_at)
        self.step_at = now

    def rest(self) -> None:
        """Training is over: no step is expected."""
        self.step_at = None

    def _watch(self) -> None:
        busy_at, used_s = time.monotonic(), time.process_time()
        checked_at = busy_at
        while True:
            time.sleep(self.check_s)
            now, used_before = time.monotonic(), used_s
            used_s = time.process_time()
            is_busy = used_s - used_before > IDLE_SHARE * (now - checked_at)
            checked_at = now
            if is_busy or self.timer.part in WAITING:
                busy_at = now
            if (step_at := self.step_at) is None:
                continue
            idle_s = now - max(step_at, busy_at)
            if idle_s > max(self.min_s, HANG_FACTOR * self.longest_s):
                self.end(f"no step for {idle_s:.0f} s, and no work: this worker hangs")
                return


def _exit(why: str) -> None:
    print(why, file=sys.stderr, flush=True)
    os._exit(1)  # Whatever hangs would keep an orderly exit waiting.

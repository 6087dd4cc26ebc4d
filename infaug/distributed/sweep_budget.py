"""What a sweep's trials may take: time, and hours of their workers."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from ray import tune

SPENT = "the budget of its problem is spent"


@dataclass(frozen=True, kw_only=True)
class Budget(tune.Stopper):
    """Stops all trials of an experiment of Tune when it is spent.

    Attributes:
        ends_at: by time.monotonic(); None: no limit, as of the next.
        worker_hours: of the whole sweep.
        taken: worker-hours so far, to the last round of each trial.
    """

    ends_at: float | None
    worker_hours: float | None
    taken: Callable[[], float]

    def share(self, part: float) -> "Budget":
        """A part of what is left of it, 0 to 1."""
        now, taken = time.monotonic(), self.taken()
        ends_at, hours = self.ends_at, self.worker_hours
        if ends_at is not None:
            ends_at = now + (ends_at - now) * part
        if hours is not None:
            hours = taken + (hours - taken) * part
        return replace(self, ends_at=ends_at, worker_hours=hours)

    def __call__(self, trial_id: str, result: dict) -> bool:
        """No trial is stopped for itself."""
        return False

    def stop_all(self) -> bool:
        """Whether it is spent."""
        is_late = self.ends_at is not None and time.monotonic() >= self.ends_at
        hours = self.worker_hours
        return is_late or (hours is not None and self.taken() >= hours)

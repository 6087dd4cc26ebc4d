"""What Tune's driver sees of a sweep, logged before anything else happens."""

import json
import sys
import time
from typing import Any

from ray import tune

from infaug.experiment.sweep.ledger import Ledger, Progress
from infaug.experiment.sweep.plan import Sweep
from infaug.experiment.sweep.trial import forget


class SweepLog(tune.Callback):
    """Keeps the ledger, says how trials end, and what Tune's own part costs.

    Attributes:
        num_trials: that had a process in this start of the sweep.
        wall_s: from the first trial's start to the last one's end.
    """

    def __init__(self, sweep: Sweep, ledger: Ledger, at_a_time: int, *, shown: bool):
        self.sweep, self.ledger, self.shown = sweep, ledger, shown
        self.num_trials, self.wall_s, self.at_a_time = 0, 0.0, at_a_time
        self._began = time.time()
        self._busy: dict[str, float] = {}
        self._spent: dict[str, float] = {}

    def on_trial_result(
        self, iteration: int, trials: list, trial: Any, result: dict, **_: Any
    ) -> None:
        """A round: on disk before the trial goes on."""
        name = str(trial)
        self._count(name, result)
        if "mistake" in result or result.get("steps", 0) == 0:
            return
        numbers = {key: result[key] for key in Progress.__annotations__}
        changes = json.loads(result["changes"])
        self.ledger.report(name, Progress(**numbers), changes, result["home"])

    def on_trial_complete(
        self, iteration: int, trials: list, trial: Any, **_: Any
    ) -> None:
        """A trial ended by itself, or was stopped."""
        name, last = str(trial), trial.last_result
        tried = self.ledger.trials[name]
        if why := last.get("mistake"):
            self.ledger.finish(name, "failed", why)
        elif tried.rounds and tried.rounds[-1].steps >= self.sweep.steps:
            self.ledger.finish(name, "completed")
        else:
            self.ledger.finish(name, "stopped")
        self._print(name)

    def on_trial_error(
        self, iteration: int, trials: list, trial: Any, **_: Any
    ) -> None:
        """Its process died again and again, or there is a fault in infaug."""
        last = str(trial.get_error()).strip().splitlines()
        why = f"died {trial.num_failures} times, at last: {last[-1] if last else ''}"
        self.ledger.finish(str(trial), "failed", why)
        self._print(str(trial))

    def close(self) -> None:
        """The last trial has ended."""
        self.wall_s = time.time() - self._began
        self.num_trials = len(self._busy)

    @property
    def overhead_s(self) -> float | None:
        """Seconds a trial that were not its own work; None if none was run.

        The time of all places where a trial could have run, less the time in which one
        did: starting processes, imports, reports, decisions, and places left empty.
        """
        if not self.num_trials:
            return None
        busy = sum(self._busy.values())
        return (self.wall_s * self.at_a_time - busy) / self.num_trials

    def _count(self, name: str, result: dict) -> None:
        # A trial that goes on in another process begins to count anew.
        if result["busy"] < self._spent.get(name, 0.0):
            self._spent[name] = 0.0
        more = result["busy"] - self._spent.get(name, 0.0)
        self._busy[name] = self._busy.get(name, 0.0) + more
        self._spent[name] = result["busy"]

    def _print(self, name: str) -> None:
        trial = self.ledger.trials[name]
        forget(self.sweep.home(trial.home))
        if not self.shown:
            return
        left = len(self.ledger.open_of(self.sweep.names))
        number = self.sweep.how.trials - left
        found = trial.why
        if trial.rounds:
            last = trial.rounds[-1]
            steps = f"at step {last.steps} of {self.sweep.steps}"
            found = f"{steps}: loss {last.loss:.4f}, top-1 {last.top1:.2f} % {found}"
        line = f"[{number}/{self.sweep.how.trials}] {name} {trial.end} {found}"
        print(line.rstrip(), file=sys.stderr, flush=True)

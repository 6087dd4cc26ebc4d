"""The trials of a sweep, by Ray Tune.

A trial is one process, which asks for nothing beside the CPUs and GPUs that Tune holds
for it; or it drives workers that train together, and takes nothing itself.

Differs from Tune's own way of continuing a sweep (Tuner.restore), which saves searchers
but no schedulers, so that ASHA would forget every milestone. Here each start is a new
experiment of the trials that have not ended; `sweep.ledger` says which, and ASHA and
Optuna get the results of the others first.
"""

import contextlib
import json
import logging
import os
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ray
import ray.train
from ray import tune

from infaug.distributed.local import connect
from infaug.distributed.sweep_budget import SPENT, Budget
from infaug.distributed.sweep_schedulers import scheduler_of, space_of
from infaug.distributed.sweep_trial import (
    MAX_DEATHS,
    Capacity,
    Work,
    run_alone,
    run_together,
    storage_of,
    train_trial,
)
from infaug.distributed.tasks import in_tasks
from infaug.experiment.sweep.confirm import Repeat, run_repeat
from infaug.experiment.sweep.ledger import End, Ledger, Progress
from infaug.experiment.sweep.plan import Sweep
from infaug.experiment.sweep.trial import forget
from infaug.storage import location
from infaug.transfer import remove
from infaug.words import plural

# Tune is to leave the working folder, the terminal and Ctrl-C alone, and to write no
# files for other tools: the run folders hold everything.
SETTINGS = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
}


@contextlib.contextmanager
def cluster_for(capacity: Capacity) -> Iterator[None]:
    """Join a cluster, or start one here that ends with this.

    Raises:
        ValueError: if no node has what a trial takes.
    """
    os.environ.update({k: v for k, v in SETTINGS.items() if k not in os.environ})
    started_here = connect(capacity.at_a_time * capacity.workers.max * capacity.cpus)
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        wanted = {"CPU": capacity.cpus, "GPU": capacity.gpus}
        if not any(all(n.get(k, 0) >= v for k, v in wanted.items()) for n in nodes):
            raise ValueError(
                f"no node of the cluster has the {wanted['CPU']} CPUs and "
                f"{wanted['GPU']:g} GPUs that a worker takes: it would wait for ever"
            )
        yield
    finally:
        if started_here:
            ray.shutdown()


def run_trials(
    sweep: Sweep,
    ledger: Ledger,
    capacity: Capacity,
    *,
    shown: bool,
    cache: Path | None = None,
    work: Work | None = None,
    budget: Budget | None = None,
    is_last: bool = True,
) -> None:
    """Run the trials that have not ended, on the cluster that Ray is connected to.

    Where the budget is spent, trials of the last problem are left open, for the same
    command with more of it; on cheaper ones they are stopped.

    Raises:
        ValueError: if trials were left without an end for another reason.
    """
    waiting = ledger.open_of(sweep.names)
    if not waiting:
        return
    if budget is None or not budget.stop_all():
        _tune(sweep, ledger, waiting, capacity, shown, cache, work, budget)
    left = ledger.open_of(sweep.names)
    if left and (budget is None or not budget.stop_all()):
        have = "has" if len(left) == 1 else "have"
        raise ValueError(
            f"{plural(len(left), 'trial')} {have} not ended ({left[0]} first): the "
            "same command continues them"
        )
    for trial in [] if is_last else ledger.named(left):
        ledger.finish(trial.name, "stopped", SPENT)
        forget(sweep.home(trial.home))


def _tune(
    sweep: Sweep,
    ledger: Ledger,
    waiting: list[str],
    capacity: Capacity,
    shown: bool,
    cache: Path | None,
    work: Work | None,
    budget: Budget | None,
) -> None:
    logging.getLogger("ray.tune").setLevel(logging.ERROR)  # the ledger says it
    storage = location(str(sweep.place("tune")))
    remove(storage)  # of a driver that was killed
    is_population, is_alone = sweep.how.is_population, capacity.workers.max == 1
    if is_population and not is_alone:
        raise ValueError(
            f"sweep.scheduler {sweep.how.scheduler}: needs --workers-per-trial 1"
        )
    takes: dict[str, float] = {"cpu": capacity.cpus, "gpu": capacity.gpus}
    if work is None and not is_alone:
        work = partial(run_together, capacity=capacity)
        takes = {"memory": 1}  # Something it must be; cores are its workers'.
    param_space, searcher, samples = space_of(sweep, ledger, waiting)
    homes = {name: tried.home for name, tried in ledger.trials.items()}
    tuner = tune.Tuner(
        tune.with_resources(
            partial(train_trial, sweep, homes, cache, work or run_alone), takes
        ),
        param_space=param_space,
        tune_config=tune.TuneConfig(
            scheduler=scheduler_of(sweep, ledger),
            search_alg=searcher,
            num_samples=samples,
            # A population's trials take turns, all of them.
            max_concurrent_trials=None if is_population else capacity.at_a_time,
            # A process whose trial was stopped would still hold the trial's workers.
            reuse_actors=is_alone,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(
            name=uuid.uuid4().hex,
            **storage_of(sweep, "tune"),
            stop=budget,
            callbacks=[SweepLog(sweep, ledger, shown=shown)],
            failure_config=tune.FailureConfig(max_failures=MAX_DEATHS),
            verbose=0,
        ),
    )
    tuner.fit()
    remove(storage)


def run_repeats(
    sweep: Sweep,
    changes: Mapping[str, Any],
    repeats: Sequence[Repeat],
    capacity: Capacity,
    cache: Path | None = None,
) -> dict[Repeat, Progress]:
    """What both sides find on fresh seeds; those that are done are not done again."""
    work = partial(run_repeat, sweep=sweep, changes=changes, cache=cache)
    takes = {"cpus": capacity.cpus, "gpus": capacity.gpus}
    return dict(in_tasks(work, repeats, at_a_time=capacity.at_a_time, **takes))


class SweepLog(tune.Callback):
    """Keeps the ledger before anything else happens, and prints how trials end."""

    def __init__(self, sweep: Sweep, ledger: Ledger, *, shown: bool):
        self.sweep, self.ledger, self.shown = sweep, ledger, shown

    def on_trial_result(
        self, iteration: int, trials: list, trial: Any, result: dict, **_: Any
    ) -> None:
        """A round: on disk before the trial goes on."""
        if "mistake" in result or result.get("steps", 0) == 0:
            return
        numbers = {key: result[key] for key in Progress.__annotations__}
        changes = json.loads(result["changes"])
        self.ledger.report(str(trial), Progress(**numbers), changes, result["home"])

    def on_trial_complete(
        self, iteration: int, trials: list, trial: Any, **_: Any
    ) -> None:
        """A trial ended by itself, or was stopped."""
        last = self.ledger.trials[str(trial)].last
        why = trial.last_result.get("mistake", "")
        is_whole = last and last.steps >= self.sweep.steps
        end: End = "completed" if is_whole else "stopped"
        self._finish(trial, "failed" if why else end, why)

    def on_trial_error(
        self, iteration: int, trials: list, trial: Any, **_: Any
    ) -> None:
        """Its process died again and again, or there is a fault in infaug."""
        last = str(trial.get_error()).strip().splitlines()
        why = f"died {trial.num_failures} times, at last: {last[-1] if last else ''}"
        self._finish(trial, "failed", why)

    def _finish(self, which: Any, end: End, why: str = "") -> None:
        self.ledger.finish(str(which), end, why)
        trial = self.ledger.trials[str(which)]
        if not self.sweep.keeps_weights:
            forget(self.sweep.home(trial.home))
        if not self.shown:
            return
        names = self.sweep.names
        number = len(names) - len(self.ledger.open_of(names))
        found = trial.why
        if last := trial.last:
            steps = f"at step {last.steps} of {self.sweep.steps}"
            found = f"{steps}: loss {last.loss:.4f}, top-1 {last.top1:.2f} % {found}"
        line = f"[{number}/{len(names)}] {trial.name} {end} {found}"
        print(line.rstrip(), file=sys.stderr, flush=True)


def _name(trial: Any) -> str:
    return trial.config["trial"]

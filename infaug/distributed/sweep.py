"""The trials of a sweep, by Ray Tune.

A trial is one process, which asks for nothing beside the CPUs and GPUs that Tune holds
for it: trials can wait for each other, but never in a circle.

Differs from Tune's own way of continuing a sweep (Tuner.restore), which was read and
not used: it saves searchers but no schedulers, so ASHA would forget every milestone,
and what ended since its last snapshot would run again. Here each start is a new
experiment of the trials that have not ended; `sweep.ledger` says which, and ASHA and
Optuna get the results of the others first.
"""

import contextlib
import json
import logging
import math
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import tune

from infaug.distributed.local import connect
from infaug.distributed.sweep_schedulers import scheduler_of, space_of
from infaug.distributed.tasks import in_tasks
from infaug.experiment.sweep.confirm import Repeat, run_repeat, source_of_trials
from infaug.experiment.sweep.ledger import End, Ledger, Progress
from infaug.experiment.sweep.plan import Sweep
from infaug.experiment.sweep.trial import forget, go_on, kept_rounds, pack, run_trial
from infaug.record.folder import RunFolder
from infaug.words import plural

MAX_DEATHS = 3  # of a trial's process, before the trial has failed

# Tune is to leave the working folder, the terminal and Ctrl-C alone, and to write no
# files for other tools: the run folders hold everything.
SETTINGS = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
}

Work = Callable[..., None]


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What trials may take.

    Attributes:
        at_a_time: trials that run together.
        cpus: of each.
        gpus: of each, or a part of one.
    """

    at_a_time: int
    cpus: int = 1
    gpus: float = 0.0


@contextlib.contextmanager
def cluster_for(capacity: Capacity) -> Iterator[None]:
    """Join a cluster, or start one here that ends with this.

    Raises:
        ValueError: if no node has what a trial takes.
    """
    os.environ.update({k: v for k, v in SETTINGS.items() if k not in os.environ})
    started_here = connect(capacity.at_a_time * capacity.cpus)
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        wanted = {"CPU": capacity.cpus, "GPU": capacity.gpus}
        if not any(all(n.get(k, 0) >= v for k, v in wanted.items()) for n in nodes):
            raise ValueError(
                f"no node of the cluster has the {wanted['CPU']} CPUs and "
                f"{wanted['GPU']:g} GPUs that a trial takes: it would wait for ever"
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
    work: Work = run_trial,
) -> None:
    """Run the trials that have not ended, on the cluster that Ray is connected to.

    Raises:
        ValueError: if trials were left without an end.
    """
    waiting = ledger.open_of(sweep.names)
    if not waiting:
        return
    logging.getLogger("ray.tune").setLevel(logging.ERROR)  # the ledger says it
    storage = sweep.out / "tune"
    shutil.rmtree(storage, ignore_errors=True)  # of a driver that was killed
    is_pbt = sweep.how.scheduler == "pbt"
    param_space, searcher, samples = space_of(sweep, ledger, waiting)
    homes = {name: tried.home for name, tried in ledger.trials.items()}
    tuner = tune.Tuner(
        tune.with_resources(
            partial(_train, sweep, homes, cache, work),
            {"cpu": capacity.cpus, "gpu": capacity.gpus},
        ),
        param_space=param_space,
        tune_config=tune.TuneConfig(
            scheduler=scheduler_of(sweep, ledger),
            search_alg=searcher,
            num_samples=samples,
            # PBT lets all of them take turns.
            max_concurrent_trials=None if is_pbt else capacity.at_a_time,
            reuse_actors=True,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(
            name=uuid.uuid4().hex,
            storage_path=str(storage),
            callbacks=[SweepLog(sweep, ledger, shown=shown)],
            failure_config=tune.FailureConfig(max_failures=MAX_DEATHS),
            verbose=0,
        ),
    )
    tuner.fit()
    shutil.rmtree(storage, ignore_errors=True)
    if left := ledger.open_of(sweep.names):
        have = "has" if len(left) == 1 else "have"
        raise ValueError(
            f"{plural(len(left), 'trial')} {have} not ended ({left[0]} first): the "
            "same command continues them"
        )


def run_repeats(
    sweep: Sweep,
    changes: Mapping[str, Any],
    repeats: Sequence[Repeat],
    capacity: Capacity,
    cache: Path | None = None,
) -> dict[Repeat, Progress]:
    """What both sides find on fresh seeds; those that are done are not done again."""
    work = partial(run_repeat, sweep=sweep, changes=changes, cache=cache)
    done = in_tasks(work, repeats, **asdict(capacity))
    return dict(done)


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
        if why := trial.last_result.get("mistake"):
            self._finish(trial, "failed", why)
        elif last and last.steps >= self.sweep.steps:
            self._finish(trial, "completed")
        else:
            self._finish(trial, "stopped")

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
        forget(self.sweep.home(trial.home))
        if not self.shown:
            return
        number = self.sweep.how.trials - len(self.ledger.open_of(self.sweep.names))
        found = trial.why
        if last := trial.last:
            steps = f"at step {last.steps} of {self.sweep.steps}"
            found = f"{steps}: loss {last.loss:.4f}, top-1 {last.top1:.2f} % {found}"
        line = f"[{number}/{self.sweep.how.trials}] {trial.name} {end} {found}"
        print(line.rstrip(), file=sys.stderr, flush=True)


def _name(trial: Any) -> str:
    return trial.config["trial"]


def _train(
    sweep: Sweep,
    homes: Mapping[str, str],
    cache: Path | None,
    work: Work,
    config: dict[str, Any],
) -> None:
    """What Tune runs in a process of its own for each trial.

    `homes` are the run folders of trials that went over to another's.
    """
    name = tune.get_context().get_trial_name()
    changes = {path: config[path] for path in sweep.space}
    reporter = Reporter(sweep, homes.get(name, name), changes)
    try:
        trial = sweep.trial(changes)
        if (given := tune.get_checkpoint()) is not None:
            with given.as_directory() as packed:
                run = Path(packed) / "run"
                if (
                    len(kept_rounds(RunFolder(run), trial))
                    == trial.config.rounds.rounds
                ):
                    return  # Nothing is left to be done with other settings.
                reporter.home = go_on(run, trial, sweep.out / "trials", name)
        source = source_of_trials(sweep.config.data)
        home = sweep.home(reporter.home)
        home.parent.mkdir(parents=True, exist_ok=True)
        reporter.num_again = len(kept_rounds(RunFolder(home), trial))
        work(trial, source, home, cache, reporter)
    except ValueError as error:
        # Raised, it would be tried again like the death of a process.
        tune.report({**reporter.about(), "mistake": str(error)})


class Reporter:
    """Reports the rounds of a trial to Tune."""

    def __init__(self, sweep: Sweep, home: str, changes: dict[str, Any]):
        self.sweep, self.home, self.changes = sweep, home, changes
        self.num_again = 0  # rounds of before, which are reported first
        self._steps = self._reported = 0

    def __call__(self, progress: Progress) -> None:
        """Report a round; does not return if the trial is to stop."""
        self._steps, self._reported = progress.steps, self._reported + 1
        found = {
            **self.about(),
            "loss": progress.loss,
            "top1": progress.top1,
            "seconds": progress.seconds,
        }
        if self.sweep.how.scheduler != "pbt" or self._reported <= self.num_again:
            tune.report(found)
            return
        with tempfile.TemporaryDirectory() as folder:
            packed = pack(self.sweep.home(self.home), Path(folder))
            checkpoint = tune.Checkpoint.from_directory(str(packed))
            tune.report(found, checkpoint=checkpoint)

    def about(self) -> dict[str, Any]:
        """What goes with every report."""
        worst = {"loss": math.inf, "top1": 0.0, "seconds": 0.0}
        changes = json.dumps(self.changes)
        return {**worst, "steps": self._steps, "home": self.home, "changes": changes}

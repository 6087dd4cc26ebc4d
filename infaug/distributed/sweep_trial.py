"""What a trial of a sweep does: in a process of its own, or with workers beside it."""

import json
import math
import tempfile
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray.train
from ray import tune
from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.tune.integration.ray_train import TuneReportCallback

from infaug.count_range import CountRange
from infaug.distributed.restarts import COLLECTIVE_TIMEOUT_S
from infaug.distributed.sweep_schedulers import from_places
from infaug.experiment.sweep.confirm import source_of_trials
from infaug.experiment.sweep.ledger import Progress
from infaug.experiment.sweep.plan import Sweep
from infaug.experiment.sweep.trial import (
    LOCK_WAIT_S,
    Trial,
    go_on,
    kept_rounds,
    pack,
    run_trial,
)
from infaug.record.folder import RunFolder
from infaug.storage import location
from infaug.world import World

MAX_DEATHS = 3  # of a trial's process or of its workers, before the trial has failed

ONE = CountRange(min=1, max=1)
RESIZE_S = 150.0  # between two times that workers MIN..MAX follow the nodes

Work = Callable[..., None]


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What trials may take."""

    at_a_time: int
    """Trials that run together."""
    cpus: int = 1
    """Of each of a trial's workers, as are `gpus`."""
    gpus: float = 0.0
    workers: CountRange = ONE
    """Of each trial; MIN..MAX: as many as there is room for."""


class Reporter:
    """Reports the rounds of a trial to Tune."""

    def __init__(self, sweep: Sweep, home: str, changes: dict[str, Any]):
        self.sweep, self.home, self.changes = sweep, home, changes
        self.num_again = 0  # rounds of before, which are reported first
        self.send: Callable[..., None] = tune.report
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
        if not self.sweep.how.is_population or self._reported <= self.num_again:
            self.send(found)
            return
        home = Path(self.sweep.home(self.home))
        with tempfile.TemporaryDirectory() as folder:
            packed = pack(home, Path(folder))
            checkpoint = tune.Checkpoint.from_directory(str(packed))
            tune.report(found, checkpoint=checkpoint)

    def about(self) -> dict[str, Any]:
        """What goes with every report."""
        worst = {"loss": math.inf, "top1": 0.0, "seconds": 0.0}
        changes = json.dumps(self.changes)
        return {**worst, "steps": self._steps, "home": self.home, "changes": changes}


def run_alone(
    trial: Trial, place: Path | str, cache: Path | None, report: Reporter
) -> None:
    """Train a trial in this process."""
    run_trial(trial, source_of_trials(trial.config.data), place, cache, report)


def storage_of(sweep: Sweep, name: str) -> dict[str, Any]:
    """Where Ray keeps its own files, as its RunConfig takes it."""
    system, path = location(str(sweep.place(name))).opened
    return {"storage_path": path, "storage_filesystem": system if sweep.url else None}


def run_together(
    trial: Trial,
    place: Path | str,
    cache: Path | None,
    report: Reporter,
    *,
    capacity: Capacity,
) -> None:
    """Train a trial on several Ray workers; one that dies is replaced.

    Raises:
        ValueError: for a mistake that the workers found.
    """
    gpus = {"GPU": capacity.gpus} if capacity.gpus else {}
    workers = capacity.workers
    job = {"trial": trial, "place": place, "cache": cache, "report": report}
    trainer = TorchTrainer(
        _work,
        train_loop_config=job,
        torch_config=TorchConfig(
            backend="nccl" if gpus else "gloo", timeout_s=COLLECTIVE_TIMEOUT_S
        ),
        scaling_config=ScalingConfig(
            num_workers=workers.max if workers.is_one else (workers.min, workers.max),
            elastic_resize_monitor_interval_s=RESIZE_S,
            use_gpu=bool(gpus),
            resources_per_worker={"CPU": capacity.cpus, **gpus},
        ),
        run_config=RunConfig(
            name=uuid.uuid4().hex,
            **storage_of(report.sweep, "tune/workers"),
            failure_config=FailureConfig(max_failures=MAX_DEATHS),
            callbacks=[TuneReportCallback()],
            logging_config=LoggingConfig(log_level="ERROR"),
        ),
    )
    # Not `fit_again`: it would free the places of trials beside this one. If workers
    # cannot be set up, Tune starts the trial again.
    end: Any = trainer.fit().return_value
    if "mistake" in end:
        raise ValueError(end["mistake"])


def _work(job: dict[str, Any]) -> dict[str, Any]:
    """What every worker of a trial does; a mistake that is raised would be tried."""
    trial, report = job["trial"], job["report"]
    report.send = ray.train.report
    source = source_of_trials(trial.config.data)
    try:
        run_trial(trial, source, job["place"], job["cache"], report, World.joined())
    except ValueError as error:
        return {"mistake": str(error)}
    return {}


def train_trial(
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
    if sweep.how.scheduler == "pb2":
        changes = from_places(sweep.space, changes)
    reporter = Reporter(sweep, homes.get(name, name), changes)
    try:
        trial = sweep.trial(changes)
        if (given := tune.get_checkpoint()) is not None:
            with given.as_directory() as packed:
                run = Path(packed) / "run"
                done = kept_rounds(RunFolder(run), trial)
                if len(done) == trial.config.rounds.rounds:
                    return  # Nothing is left to be done with other settings.
                reporter.home = go_on(run, trial, sweep.out / "trials", name)
        home = sweep.home(reporter.home)
        kept = RunFolder(home).bring(LOCK_WAIT_S)
        reporter.num_again = len(kept_rounds(kept, trial))
        work(trial, home, cache, reporter)
    except ValueError as error:
        # Raised, it would be tried again like the death of a process.
        tune.report({**reporter.about(), "mistake": str(error)})

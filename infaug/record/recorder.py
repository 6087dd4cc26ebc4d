"""What happens around every step: journal, checkpoint, display, and where to go on."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from infaug.config import RoundsConfig
from infaug.record.atomic import write_bytes
from infaug.record.checkpoint import (
    Checkpoint,
    CheckpointWriter,
    load_checkpoint,
    save_checkpoint,
)
from infaug.record.disk import writing
from infaug.record.display import Display
from infaug.record.journal import Journal
from infaug.record.place import Phase, Place, position
from infaug.record.tensorboard import TensorBoard
from infaug.record.timings import Timings, peak_memory_gib
from infaug.record.training_folder import TrainingFolder, training_name
from infaug.record.watcher import Metrics, Moment, Stretch, Watcher
from infaug.world import World


@runtime_checkable
class HasTensors(Protocol):
    """Something whose whole state is tensors by name."""

    def tensors(self) -> dict[str, Tensor]:
        """The state."""
        ...


def watchers_in(folder: TrainingFolder) -> list[Watcher]:
    """Those who write into the folders: one process has them."""
    folder.enter()
    return [Timings(folder.path), TensorBoard(folder.run / "tensorboard")]


class Recorder:
    """Keeps the files of one training; only the first process writes.

    All processes begin from the checkpoint the first one found. `watchers` follow what
    this process does.

    Args:
        folder: of the training.
        number: of the training, as `display` counts them.
        config: rounds of the training.
        world: who trains together.
        display: shows progress.
        watchers: see `watcher.Watcher`.
        is_leaving: whether a machine will be taken away soon.
    """

    def __init__(
        self,
        folder: TrainingFolder,
        number: int,
        config: RoundsConfig,
        world: World,
        display: Display,
        watchers: Sequence[Watcher] = (),
        is_leaving: Callable[[], bool] | None = None,
    ):
        self.folder, self.number, self.config = folder, number, config
        self.world, self.display, self.is_leaving = world, display, is_leaving
        self.watchers = watchers
        self.labels = {"row": folder.method, "seed": folder.seed}
        if world.is_first:
            folder.enter()
        self.journal = Journal(folder.path) if world.is_first else None
        self.writer = CheckpointWriter(self._write)
        self.start: Checkpoint | None = world.first(
            lambda: load_checkpoint(folder.checkpoints)
        )
        repeated: list[dict[str, Any]] = []
        if self.journal:
            repeated = self.journal.cut(self.start.metrics_bytes if self.start else 0)
            after = asdict(self.start.place) if self.start else None
            self.journal.start({**self.labels, "workers": world.size, "after": after})
        done = position(self.start.place, config) if self.start else 0
        for watcher in watchers:
            watcher.begin(folder.method, folder.seed, done)
        if self.start is not None:
            name = training_name(folder.method, folder.seed)
            display.say(f"{name} {_continued(self.start.place)}")
            if repeated:
                display.say(f"what followed, {_reach(repeated)}, is repeated")

    @property
    def state(self) -> dict[str, Tensor] | None:
        """What the last checkpoint holds; None for a training that begins."""
        return self.start.tensors if self.start else None

    def left(self, round_: int, phase: Phase, num_steps: int) -> range:
        """The steps of a phase that are still to be done."""
        start = self.start.place if self.start else None
        here = Place(round=round_, phase=phase, step=0)
        if start is None or start.order[:2] < here.order[:2]:
            done = 0
        else:
            done = num_steps if start.order[:2] > here.order[:2] else start.step
        self.display.skip(self.number, phase, done)
        return range(done, num_steps)

    def is_past(self, round_: int, phase: Phase) -> bool:
        """Whether the training goes on after a phase, and what follows it."""
        here = Place(round=round_, phase=phase, step=0)
        start = self.start.place if self.start else here
        return start.order[:2] > here.order[:2]

    def keep(self, name: str, make: Callable[[], bytes]) -> None:
        """Write a file into the experiment's folder; the first process makes it.

        It must be a function of the state of the training: who repeats a part writes
        it again.
        """
        self.world.first(partial(self._keep, self.folder.run / name, make))

    def _keep(self, path: Path, make: Callable[[], bytes]) -> None:
        content = make()
        with writing(self.folder.run):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, content)

    def pass_over(self, **steps: int) -> None:
        """Steps of phases that will not be taken."""
        for phase, count in steps.items():
            self.display.skip(self.number, phase, count)

    def follow(
        self,
        round_: int,
        phase: Phase,
        steps: range,
        done: Iterable[Metrics],
        state: HasTensors,
    ) -> None:
        """Run through the steps of a phase, keeping the books after each.

        What the steps leave in the world's tally is told with their seconds.
        """
        tally, config = self.world.tally, self.config
        tally.take()  # What lies between phases belongs to no step.
        told, began = steps.start, tally.clock()
        for step, metrics in zip(steps, done, strict=True):
            number, is_last = step + 1, step == steps.stop - 1
            place = Place(round=round_, phase=phase, step=number)
            is_told = is_last or number % config.log_every_steps == 0
            with tally.time("record"):
                if is_told:
                    self._log(place, dict(metrics))
                # Plain numbers, the one that is shown: the display may be elsewhere.
                loss = {k: metrics[k] for k in ("selection_loss",) if k in metrics}
                self.display.step(
                    self.number, self.labels, round_, phase, steps, number, loss
                )
            is_due = is_last or number % config.checkpoint_every_steps == 0
            with tally.time("checkpoint"):
                leaves = self.is_leaving is not None and self.is_leaving()
                if is_due or leaves:
                    dict(metrics)  # Raises if a step until now was not finite.
                    self.world.first(partial(self._save, place, state, leaves))
            if is_told:
                now = tally.clock()
                self._time(place, number - told, now - began)
                told, began = number, now

    def finish(
        self, weights: Mapping[str, Mapping[str, Tensor]], result: dict[str, Any]
    ) -> None:
        """Keep what the training found; only the first process may call this.

        Raises:
            ValueError: if the folder cannot be written; the training goes on from its
                last checkpoint.
        """
        assert self.journal is not None
        self.writer.wait()
        with writing(self.folder.run):
            self.journal.flush()
        self.folder.finish(weights, result)

    def _log(self, place: Place, metrics: Metrics) -> None:
        if self.journal:
            where = {"round": place.round, "phase": place.phase, "step": place.step}
            self.journal.metrics({**self.labels, **where, **metrics})
        for watcher in self.watchers:
            watcher.metrics(self._moment(place), metrics)

    def _save(self, place: Place, state: HasTensors, at_once: bool) -> None:
        """Raises a ValueError, which all processes are told of, if it cannot.

        Training goes on while a checkpoint is written, unless it is needed `at_once`.
        """
        assert self.journal is not None, "the first process has one"
        with writing(self.folder.run):
            length = self.journal.flush()
        self.writer.begin(place, length, state.tensors())
        if at_once:
            self.writer.wait()

    def _write(
        self, place: Place, metrics_bytes: int, tensors: Mapping[str, Tensor]
    ) -> None:
        with writing(self.folder.run):
            save_checkpoint(self.folder.checkpoints, place, metrics_bytes, tensors)
        self.folder.push()

    def _time(self, place: Place, steps: int, seconds: float) -> None:
        """Tell what the steps took; telling it belongs to those that follow."""
        found = self.world.tally.take()
        stretch = Stretch(
            steps=steps,
            seconds=seconds,
            parts=found.seconds,
            counts=found.counts,
            gpu_gib=peak_gpu_gib(),
            memory_gib=peak_memory_gib(),
        )
        with self.world.tally.time("record"):
            self.display.timing(stretch)
            for watcher in self.watchers:
                watcher.timing(self._moment(place), stretch)

    def _moment(self, place: Place) -> Moment:
        return Moment(
            **self.labels,
            round=place.round,
            phase=place.phase,
            step=place.step,
            position=position(place, self.config),
        )

    def close(self) -> None:
        """Leave the files in order."""
        self.writer.close()
        for watcher in self.watchers:
            watcher.close()
        if self.journal:
            self.journal.close()


def _continued(at: Place) -> str:
    """Where a run goes on, in words."""
    return f"goes on after {at.phase} step {at.step} of round {at.round + 1}"


def _reach(lines: Sequence[Mapping[str, Any]]) -> str:
    """How far logged steps went.

    >>> _reach([{"phase": "classify", "round": 2, "step": 60}])
    'up to classify step 60 of round 3'
    """
    last = lines[-1]
    return f"up to {last['phase']} step {last['step']} of round {last['round'] + 1}"


def peak_gpu_gib() -> float | None:
    """The most that tensors took on this process's GPU since this was last asked.

    The allocator knows; the GPU is not waited for.
    """
    if not torch.cuda.is_initialized():
        return None
    peak = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.reset_peak_memory_stats()
    return peak

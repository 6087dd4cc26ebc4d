"""What happens around every step: metrics, checkpoint, display, where to continue."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from infaug.config import RoundsConfig
from infaug.record.atomic import write_bytes, writing
from infaug.record.checkpoint import (
    Checkpoint,
    CheckpointWriter,
    load_checkpoint,
    save_checkpoint,
)
from infaug.record.display import Display
from infaug.record.journal import Journal
from infaug.record.steps import (
    PHASES,
    Interval,
    Metrics,
    MetricsWriter,
    Phase,
    Position,
    StepInfo,
    global_step,
)
from infaug.record.tensorboard import TensorBoard
from infaug.record.timings import Timings, peak_memory_gib
from infaug.record.training_folder import TrainingFolder
from infaug.world import World


@runtime_checkable
class HasTensors(Protocol):
    """Something whose whole state is tensors by name."""

    def tensors(self) -> dict[str, Tensor]:
        """The state."""
        ...


def writers_in(folder: TrainingFolder) -> list[MetricsWriter]:
    """Those that write into the run folder: one process has them."""
    folder.enter()
    return [Timings(folder.path), TensorBoard(folder.run / "tensorboard")]


class TrainingLogger:
    """Keeps the files of one training; only the first process writes.

    All processes begin from the checkpoint the first one found. `writers` follow what
    this process does; `is_leaving` says whether a machine will be taken away soon.
    """

    def __init__(
        self,
        folder: TrainingFolder,
        number: int,
        config: RoundsConfig,
        world: World,
        display: Display,
        writers: Sequence[MetricsWriter] = (),
        is_leaving: Callable[[], bool] | None = None,
    ):
        self.folder, self.number, self.config = folder, number, config
        self.world, self.display, self.is_leaving = world, display, is_leaving
        self.writers = writers
        self.labels = {"method": folder.method, "seed": folder.seed}
        if world.is_first:
            folder.enter()
        self.journal = Journal(folder.path) if world.is_first else None
        self.checkpointer = CheckpointWriter(self._write)
        self.start: Checkpoint | None = world.first(
            lambda: load_checkpoint(folder.checkpoints)
        )
        repeated: list[dict[str, Any]] = []
        if self.journal:
            repeated = self.journal.cut(self.start.metrics_bytes if self.start else 0)
            after = asdict(self.start.position) if self.start else None
            self.journal.start({**self.labels, "workers": world.size, "after": after})
        done = global_step(self.start.position, config) if self.start else 0
        for writer in writers:
            writer.begin(folder.method, folder.seed, done)
        if self.start is not None:
            at = self.start.position
            self.say(f"goes on after {at.phase} step {at.step} of round {at.round + 1}")
            if repeated:
                self.say(f"what followed, {_reach(repeated)}, is repeated")

    def say(self, message: str) -> None:
        """A line about this training that stays."""
        self.display.say_of(self.number, message)

    @property
    def state(self) -> dict[str, Tensor] | None:
        """What the last checkpoint holds; None for a training that begins."""
        return self.start.tensors if self.start else None

    def left(self, round_: int, phase: Phase, num_steps: int) -> range:
        """The steps of a phase that are still to be done."""
        done = num_steps if self.is_past(round_, phase) else 0
        at = self.start.position if self.start else None
        if at and (at.round, at.phase) == (round_, phase):
            done = at.step
        self.display.skip(self.number, phase, done)
        return range(done, num_steps)

    def is_past(self, round_: int, phase: Phase) -> bool:
        """Whether the training goes on after a phase, and what follows it."""
        if self.start is None:
            return False
        at = self.start.position
        return (at.round, PHASES.index(at.phase)) > (round_, PHASES.index(phase))

    def keep(self, name: str, make: Callable[[], bytes]) -> None:
        """Write a file into the experiment's folder; the first process makes it.

        It must be a function of the state of the training: who repeats a part writes
        it again.
        """

        def write() -> None:
            path, content = self.folder.run / name, make()
            with writing(self.folder.run):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_bytes(path, content)

        self.world.first(write)

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
        """Run through the steps of a phase, and write what follows from each.

        What the steps leave in the world's timer is logged with their seconds.
        """
        timer, config = self.world.timer, self.config
        timer.take()  # What lies between phases belongs to no step.
        logged, began = steps.start, timer.clock()
        for step, metrics in zip(steps, done, strict=True):
            number, is_last = step + 1, step == steps.stop - 1
            at = Position(round=round_, phase=phase, step=number)
            is_logged = is_last or number % config.log_every_steps == 0
            with timer.time("record"):
                if is_logged:
                    self._log(at, dict(metrics))
                # Plain numbers, the one that is shown: the display may be elsewhere.
                loss = {k: metrics[k] for k in ("selection_loss",) if k in metrics}
                self.display.step(self.number, round_, phase, steps, number, loss)
            is_due = is_last or number % config.checkpoint_every_steps == 0
            with timer.time("checkpoint"):
                leaves = self.is_leaving is not None and self.is_leaving()
                if is_due or leaves:
                    dict(metrics)  # Raises if a step until now was not finite.
                    waits = any(each.waits_for_checkpoint for each in self.writers)
                    self.world.first(partial(self._save, at, state, leaves or waits))
            if is_logged:
                now = timer.clock()
                self._time(at, number - logged, now - began)
                logged, began = number, now

    def finish(
        self, weights: Mapping[str, Mapping[str, Tensor]], result: dict[str, Any]
    ) -> None:
        """Keep what the training found; only the first process may call this.

        Raises:
            ValueError: if the folder cannot be written; the training goes on from its
                last checkpoint.
        """
        assert self.journal is not None
        self.checkpointer.wait()
        with writing(self.folder.run):
            self.journal.flush()
        self.folder.finish(weights, result)

    def _log(self, at: Position, metrics: Metrics) -> None:
        if self.journal:
            self.journal.metrics({**self.labels, **asdict(at), **metrics})
        for writer in self.writers:
            writer.metrics(self._info(at), metrics)

    def _save(self, at: Position, state: HasTensors, at_once: bool) -> None:
        """Raises a ValueError, which all processes get, if it cannot.

        Training goes on while a checkpoint is written, unless it is needed `at_once`.
        """
        assert self.journal is not None, "the first process has one"
        with writing(self.folder.run):
            length = self.journal.flush()
        self.checkpointer.begin(at, length, state.tensors())
        if at_once:
            self.checkpointer.wait()

    def _write(
        self, at: Position, metrics_bytes: int, tensors: Mapping[str, Tensor]
    ) -> None:
        with writing(self.folder.run):
            save_checkpoint(self.folder.checkpoints, at, metrics_bytes, tensors)
        self.folder.push()

    def _time(self, at: Position, steps: int, seconds: float) -> None:
        """Write what the steps took; writing counts for those that follow."""
        found = self.world.timer.take()
        interval = Interval(
            steps=steps, seconds=seconds, parts=found.seconds, counts=found.counts,
            gpu_gib=peak_gpu_gib(), memory_gib=peak_memory_gib(),
        )  # fmt: skip
        with self.world.timer.time("record"):
            self.display.timing(interval)
            for writer in self.writers:
                writer.timing(self._info(at), interval)

    def _info(self, at: Position) -> StepInfo:
        return StepInfo(
            method=self.folder.method, seed=self.folder.seed,
            global_step=global_step(at, self.config), **asdict(at),
        )  # fmt: skip

    def close(self) -> None:
        """Close the files."""
        self.checkpointer.close()
        for writer in self.writers:
            writer.close()
        if self.journal:
            self.journal.close()


def _reach(lines: Sequence[Mapping[str, Any]]) -> str:
    """How far logged steps went.

    >>> _reach([{"phase": "classify", "round": 2, "step": 60}])
    'up to classify step 60 of round 3'
    """
    last = lines[-1]
    return f"up to {last['phase']} step {last['step']} of round {last['round'] + 1}"


def peak_gpu_gib() -> float | None:
    """The most that tensors took on this process's GPU since this was last asked for.

    The allocator knows; the GPU is not waited for.
    """
    if not torch.cuda.is_initialized():
        return None
    peak = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.reset_peak_memory_stats()
    return peak

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
from infaug.record.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from infaug.record.disk import writing
from infaug.record.display import Display
from infaug.record.effort import peak_memory_gib
from infaug.record.folder import RunFolder
from infaug.record.journal import Journal
from infaug.record.place import Phase, Place, position
from infaug.record.tensorboard import TensorBoard
from infaug.record.timings import Timings
from infaug.record.watcher import Metrics, Moment, Stretch, Watcher
from infaug.world import World


@runtime_checkable
class HasTensors(Protocol):
    """Something whose whole state is tensors by name."""

    def tensors(self) -> dict[str, Tensor]:
        """The state."""
        ...


def watchers_in(folder: Path) -> list[Watcher]:
    """Those who write into a run folder: one process has them."""
    return [Timings(folder), TensorBoard(folder / "tensorboard")]


class Recorder:
    """Keeps the books of a run; only the first process writes.

    All processes begin from the checkpoint the first one found. `watchers` are told of
    what this process does.
    """

    def __init__(
        self,
        folder: RunFolder,
        config: RoundsConfig,
        world: World,
        display: Display,
        watchers: Sequence[Watcher] = (),
        is_leaving: Callable[[], bool] | None = None,
    ):
        self.folder = folder
        self.config = config
        self.world = world
        self.display = display
        self.watchers = watchers
        self.is_leaving = is_leaving
        self.journal = Journal(folder.path) if world.is_first else None
        self.start: Checkpoint | None = world.first(
            lambda: load_checkpoint(folder.checkpoints)
        )
        self.repeated: list[dict[str, Any]] = []
        if self.journal:
            at_checkpoint = self.start.metrics_bytes if self.start else 0
            kept = max(at_checkpoint, folder.finished_metrics_bytes())
            self.repeated = self.journal.cut(kept)
            after = asdict(self.start.place) if self.start else None
            self.journal.start({"workers": world.size, "after": after})
        self.labels: dict[str, Any] = {}
        self.cell = -1
        self.rounds = config

    def begin_cell(
        self, cell: int, row: str, seed: int, rounds: RoundsConfig | None = None
    ) -> dict[str, Tensor] | None:
        """Announce a cell; its state if the checkpoint was taken inside it.

        `rounds` are the cell's own, if they differ from the run's.
        """
        self.cell, self.rounds = cell, rounds or self.config
        self.labels = {"row": row, "seed": seed}
        is_inside = self.start is not None and self.start.place.cell == cell
        start = self.start if is_inside else None
        done = position(start.place, self.rounds) if start else 0
        for watcher in self.watchers:
            watcher.begin(row, seed, done)
        if start is None:
            return None
        self.display.say(f"{row} seed {seed} {_continued(start.place)}")
        if self.repeated:
            self.display.say(f"what followed, {_reach(self.repeated)}, is repeated")
        return start.tensors

    def left(self, round_: int, phase: Phase, num_steps: int) -> range:
        """The steps of a phase that are still to be done."""
        start = self.start.place if self.start else None
        here = Place(cell=self.cell, round=round_, phase=phase, step=0)
        if start is None or start.order[:3] < here.order[:3]:
            done = 0
        else:
            done = num_steps if start.order[:3] > here.order[:3] else start.step
        self.display.skip(self.cell, phase, done)
        return range(done, num_steps)

    def is_past(self, round_: int, phase: Phase) -> bool:
        """Whether the run begins after a phase, and after what follows it."""
        here = Place(cell=self.cell, round=round_, phase=phase, step=0)
        start = self.start.place if self.start else here
        return start.order[:3] > here.order[:3]

    def keep(self, name: str, make: Callable[[], bytes]) -> None:
        """Write a file into the run's folder; the first process makes its content.

        It must be a function of the state of the run: who repeats a part of the run
        writes it again.
        """
        self.world.first(partial(self._keep, self.folder.path / name, make))

    def _keep(self, path: Path, make: Callable[[], bytes]) -> None:
        content = make()
        with writing(self.folder.path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, content)

    def pass_over(self, **steps: int) -> None:
        """Steps of phases that will not be taken."""
        for phase, count in steps.items():
            self.display.skip(self.cell, phase, count)

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
            place = Place(cell=self.cell, round=round_, phase=phase, step=number)
            is_told = is_last or number % config.log_every_steps == 0
            with tally.time("record"):
                if is_told:
                    self._log(place, metrics)
                self.display.step(
                    self.cell, self.labels, round_, phase, steps, number, metrics
                )
            is_due = is_last or number % config.checkpoint_every_steps == 0
            with tally.time("checkpoint"):
                if is_due or (self.is_leaving and self.is_leaving()):
                    self._checkpoint(place, state)
            if is_told:
                now = tally.clock()
                self._time(place, number - told, now - began)
                told, began = number, now

    def finish_cell(
        self, weights: Mapping[str, Mapping[str, Tensor]], result: dict[str, Any]
    ) -> None:
        """Keep what a cell found; only the first process may call this.

        Raises:
            ValueError: if the folder cannot be written; the cell goes on from its last
                checkpoint.
        """
        assert self.journal is not None
        with writing(self.folder.path):
            length = self.journal.flush()
        self.folder.finish_cell(weights, {**result, "metrics_bytes": length})

    def _log(self, place: Place, metrics: Metrics) -> None:
        if self.journal:
            where = {"round": place.round, "phase": place.phase, "step": place.step}
            self.journal.metrics({**self.labels, **where, **metrics})
        for watcher in self.watchers:
            watcher.metrics(self._moment(place), metrics)

    def _checkpoint(self, place: Place, state: HasTensors) -> None:
        self.world.first(partial(self._save, place, state))

    def _save(self, place: Place, state: HasTensors) -> None:
        """Raises a ValueError, which all processes are told of, if it cannot."""
        assert self.journal is not None, "the first process has one"
        with writing(self.folder.path):
            length = self.journal.flush()
            save_checkpoint(self.folder.checkpoints, place, length, state.tensors())
        if self.folder.mirror:
            self.folder.mirror.push()

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
            position=position(place, self.rounds),
        )

    def close(self) -> None:
        """Leave files and terminal in order."""
        self.display.close()
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

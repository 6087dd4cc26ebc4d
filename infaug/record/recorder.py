"""What happens around every step: journal, checkpoint, display, and where to go on."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from infaug.config import RoundsConfig
from infaug.record.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from infaug.record.display import Display
from infaug.record.folder import RunFolder
from infaug.record.journal import Journal
from infaug.record.place import Phase, Place
from infaug.world import World

Metrics = Mapping[str, float | int | str]


@runtime_checkable
class HasTensors(Protocol):
    """Something whose whole state is tensors by name."""

    def tensors(self) -> dict[str, Tensor]:
        """The state."""
        ...


class Recorder:
    """Keeps the books of a run; only the first process writes.

    All processes begin from the checkpoint the first one found.
    """

    def __init__(
        self,
        folder: RunFolder,
        config: RoundsConfig,
        world: World,
        display: Display,
        is_leaving: Callable[[], bool] | None = None,
    ):
        self.folder = folder
        self.config = config
        self.world = world
        self.display = display
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
        self.labels: Metrics = {}
        self.cell = -1

    def begin_cell(self, cell: int, row: str, seed: int) -> dict[str, Tensor] | None:
        """Announce a cell; its state if the checkpoint was taken inside it."""
        self.cell = cell
        self.labels = {"row": row, "seed": seed}
        if self.start and self.start.place.cell == cell:
            self.display.say(f"{row} seed {seed} {_continued(self.start.place)}")
            if self.repeated:
                self.display.say(f"what followed, {_reach(self.repeated)}, is repeated")
            return self.start.tensors
        return None

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
        clock: Mapping[str, float] | None = None,
    ) -> None:
        """Run through the steps of a phase, keeping the books after each.

        What the steps leave in `clock` goes to timings.jsonl with their seconds.
        """
        began = time.perf_counter()
        for step, metrics in zip(steps, done, strict=True):
            number, is_last = step + 1, step == steps.stop - 1
            is_logged = is_last or number % self.config.log_every_steps == 0
            if is_logged:
                self._log(round_, phase, number, metrics)
            self.display.step(
                self.cell, self.labels, round_, phase, steps, number, metrics
            )
            is_due = is_last or number % self.config.checkpoint_every_steps == 0
            if is_due or (is_logged and self.is_leaving and self.is_leaving()):
                place = Place(cell=self.cell, round=round_, phase=phase, step=number)
                self._checkpoint(place, state)
        if steps:
            seconds = time.perf_counter() - began
            self._time(round_, phase, len(steps), seconds, clock or {})

    def finish_cell(
        self, weights: Mapping[str, Mapping[str, Tensor]], result: dict[str, Any]
    ) -> None:
        """Keep what a cell found; only the first process may call this."""
        assert self.journal is not None
        length = self.journal.flush()
        self.folder.finish_cell(weights, {**result, "metrics_bytes": length})

    def _log(self, round_: int, phase: Phase, step: int, metrics: Metrics) -> None:
        if self.journal:
            where = {"round": round_, "phase": phase, "step": step}
            self.journal.metrics({**self.labels, **where, **metrics})

    def _checkpoint(self, place: Place, state: HasTensors) -> None:
        self.world.first(partial(self._save, place, state))

    def _save(self, place: Place, state: HasTensors) -> None:
        """Raises a ValueError, which all processes are told of, if it cannot."""
        assert self.journal is not None, "the first process has one"
        try:
            length = self.journal.flush()
            save_checkpoint(self.folder.checkpoints, place, length, state.tensors())
        except OSError as error:
            raise ValueError(
                f"{self.folder.path} cannot be written ({error.strerror}): what was "
                "saved before is kept; make room there, and the same command continues"
            ) from error
        if self.folder.mirror:
            self.folder.mirror.push()

    def _time(
        self,
        round_: int,
        phase: Phase,
        steps: int,
        seconds: float,
        clock: Mapping[str, float],
    ) -> None:
        if self.journal:
            where = {"round": round_, "phase": phase, "steps": steps}
            times = {"seconds": round(seconds, 4), **clock}
            self.journal.timing({**self.labels, **where, **times})

    def close(self) -> None:
        """Leave files and terminal in order."""
        self.display.close()
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

"""Those who follow a run, and what they are told.

Nothing that they do has a part in the run: it is the same whoever follows it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from infaug.record.place import Phase

Metrics = Mapping[str, float | int | str]


@dataclass(frozen=True, kw_only=True)
class Moment:
    """So many steps of a phase are done."""

    row: str
    seed: int
    round: int
    phase: Phase
    step: int
    position: int
    """Steps of any kind that lie behind the cell: see `place.position`."""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """The steps since the last moment that was told of, in this process."""

    steps: int
    seconds: float
    parts: Mapping[str, float] = field(default_factory=dict)
    """Seconds by what they went to, none counted twice: data, views, peers (waiting for
    other processes), s_val, selection, record, checkpoint. See `Tally` for what they
    mean on a GPU."""
    counts: Mapping[str, float] = field(default_factory=dict)
    """`images` drawn, and what the phase counted."""
    gpu_gib: float | None = None
    """The most that tensors took on this process's GPU."""
    memory_gib: float | None = None
    """The most main memory that this process ever had resident."""

    @property
    def own_seconds(self) -> float:
        """What is left for the phase's own work: F of `classify`, E of `estimate`."""
        return self.seconds - sum(self.parts.values())

    @property
    def seconds_a_step(self) -> dict[str, float]:
        """By part, with `own` and their `total`."""
        seconds = {**self.parts, "own": self.own_seconds, "total": self.seconds}
        return {part: spent / self.steps for part, spent in seconds.items()}

    @property
    def images_a_second(self) -> float | None:
        """That this process drew; None where the phase draws none."""
        images = self.counts.get("images")
        return None if images is None else images / max(self.seconds, 1e-9)


@runtime_checkable
class Watcher(Protocol):
    """Follows a run from step to step."""

    def begin(self, row: str, seed: int, position: int) -> None:
        """A cell goes on from here; what was told of it beyond is going to be repeated.

        Of a new cell the position is 0.
        """
        ...

    def metrics(self, moment: Moment, metrics: Metrics) -> None:
        """What the last step said: numbers, and words."""
        ...

    def timing(self, moment: Moment, stretch: Stretch) -> None:
        """What the steps until now have taken, the checkpoint after them included."""
        ...

    def close(self) -> None:
        """The run ends, or stops."""
        ...

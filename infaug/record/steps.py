"""Where a training stands, and what is written about its steps.

Nothing that a writer does has a part in a training: it is the same whoever writes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from infaug.config import RoundsConfig

Phase = Literal["adversary", "classify", "refresh", "estimate", "review"]
PHASES: tuple[Phase, ...] = ("adversary", "classify", "refresh", "estimate", "review")
Metrics = Mapping[str, float | int | str]


@dataclass(frozen=True, kw_only=True)
class Position:
    """`step` steps of a phase are done."""

    round: int
    phase: Phase
    step: int


def global_step(at: Position, rounds: RoundsConfig) -> int:
    """Steps of any kind that lie behind a training.

    All phases of all rounds count, whether the training takes them or not, so that
    methods can be compared at one step. It grows as a training goes on.

    >>> rounds = RoundsConfig(classifier_steps=100, estimator_steps=40)
    >>> global_step(Position(round=1, phase="estimate", step=7), rounds)
    250
    """
    num_f, num_e = rounds.classifier_steps, rounds.estimator_steps
    before = {
        "adversary": 0, "classify": 0, "refresh": num_f, "estimate": num_f + 1,
        "review": num_f + 1 + num_e,
    }  # fmt: skip
    if at.round < 0:  # s_val is solved once, before all rounds.
        return before[at.phase] - num_f + at.step
    once = 1 + (rounds.rounds - 1) * num_e if rounds.s_val == "once" else 0
    return once + at.round * (num_f + num_e + 2) + before[at.phase] + at.step


@dataclass(frozen=True, kw_only=True)
class StepInfo:
    """So many steps of a phase are done."""

    method: str
    seed: int
    round: int
    phase: Phase
    step: int
    global_step: int


@dataclass(frozen=True, kw_only=True)
class Interval:
    """The steps since the last report, in this process."""

    steps: int
    seconds: float
    parts: Mapping[str, float] = field(default_factory=dict)
    """Seconds by what they went to, none counted twice: data, views, peers (waiting for
    other processes), s_val, selection, record, checkpoint. See `Timer` for what they
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
class MetricsWriter(Protocol):
    """Receives the metrics and timings of a training; by itself it does nothing."""

    waits_for_checkpoint: bool = False
    """Whether `timing` comes when the checkpoint is on disk, not as it is written."""

    def begin(self, method: str, seed: int, global_step: int) -> None:
        """A training goes on from here (0: it begins); later steps are repeated."""

    def metrics(self, info: StepInfo, metrics: Metrics) -> None:
        """What the last step found: numbers, and words."""

    def timing(self, info: StepInfo, interval: Interval) -> None:
        """What the steps until now have taken, the checkpoint after them included."""

    def close(self) -> None:
        """The training ends, or stops."""

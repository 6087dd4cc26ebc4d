"""Where a training stands: round, phase, step."""

from dataclasses import dataclass
from typing import Literal

from infaug.config import RoundsConfig

Phase = Literal["adversary", "classify", "refresh", "estimate", "review"]
PHASES: tuple[Phase, ...] = ("adversary", "classify", "refresh", "estimate", "review")


@dataclass(frozen=True, kw_only=True)
class Place:
    """`step` steps of a phase are done; ordered as a training reaches them."""

    round: int
    phase: Phase
    step: int

    @property
    def order(self) -> tuple[int, int, int]:
        """Sorts places by when they are reached."""
        return (self.round, PHASES.index(self.phase), self.step)


def position(place: Place, rounds: RoundsConfig) -> int:
    """Steps of any kind that lie behind a training at `place`.

    All phases of all rounds count, whether the training takes them or not, so that
    methods can be compared at one position. It grows with `place.order`.

    >>> rounds = RoundsConfig(classifier_steps=100, estimator_steps=40)
    >>> position(Place(round=1, phase="estimate", step=7), rounds)
    250
    """
    num_f, num_e = rounds.classifier_steps, rounds.estimator_steps
    before = {
        "adversary": 0, "classify": 0, "refresh": num_f, "estimate": num_f + 1,
        "review": num_f + 1 + num_e,
    }  # fmt: skip
    if place.round < 0:  # s_val is solved once, before all rounds.
        return before[place.phase] - num_f + place.step
    once = 1 + (rounds.rounds - 1) * num_e if rounds.s_val == "once" else 0
    round_ = num_f + num_e + 2
    return once + place.round * round_ + before[place.phase] + place.step

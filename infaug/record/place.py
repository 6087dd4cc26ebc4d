"""Where a run stands: cell, round, phase, step."""

from dataclasses import dataclass
from typing import Literal

Phase = Literal["adversary", "classify", "refresh", "estimate", "review"]
PHASES: tuple[Phase, ...] = ("adversary", "classify", "refresh", "estimate", "review")


@dataclass(frozen=True, kw_only=True)
class Place:
    """`step` steps of a phase are done; places are ordered as a run reaches them."""

    cell: int
    round: int
    phase: Phase
    step: int

    @property
    def order(self) -> tuple[int, int, int, int]:
        """Sorts places by when they are reached."""
        return (self.cell, self.round, PHASES.index(self.phase), self.step)

"""Long-tailed training sets: how class sizes fall."""

from dataclasses import dataclass
from typing import Literal

from infaug.config.check import require


@dataclass(frozen=True, kw_only=True)
class TailConfig:
    """How the sizes of the training classes fall, for experiments on long tails.

    Only the training split is thinned: what drives, chooses and tests stays as balanced
    as the source is.
    """

    kind: Literal["none", "exponential", "zipf"] = "none"
    """`exponential`: n_i = n_1 ratio^(-(i - 1) / (Y - 1)); `zipf`: n_i = n_1 i^(-s),
    s = log(ratio) / log(Y); for i = 1 .. Y, classes in an order drawn from data.seed.
    """
    ratio: float = 100.0
    """Images of the largest class over those of the smallest."""

    def __post_init__(self):
        require(self.ratio >= 1, "data.tail.ratio", "must be >= 1", self.ratio)

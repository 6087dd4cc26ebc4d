"""The row `bilevel_learned`: how far E looks ahead."""

from dataclasses import dataclass

from infaug.config.check import require


@dataclass(frozen=True, kw_only=True)
class BilevelConfig:
    """The row `bilevel_learned`: E learns through one step of all of F, not by s_val.

    All else of it is E's: see `estimator`.
    """

    rate: float = 0.1
    """Length of that step, per unit of gradient: plain gradient descent, whatever
    optimizer F has. Towards 0: gradients of both losses at the same F."""
    batch_size: int = 64
    """Influence images whose loss is looked at after the step; all of them if there are
    fewer. A new minibatch for each step of E."""

    def __post_init__(self):
        rate, size = self.rate, self.batch_size
        require(0 < rate < float("inf"), "bilevel.rate", "must be > 0", rate)
        require(size >= 1, "bilevel.batch_size", "must be >= 1", size)

"""What every solver returns: the value, and how far it can be trusted."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Solution:
    """x with A x = b, and the evidence for it; of several b, the worst counts."""

    value: Float[Tensor, "*R Y D1"]
    """The solution, or the best iterate found."""
    status: str
    """How the solver ended; if it did not converge, also what to try."""
    converged: bool
    """Whether `residual` met the tolerance."""
    num_products: int
    """Products with A that were spent, checks included; minibatches count by size."""
    residual: float
    """|b - A x| / |b|, computed from `value` itself; 0 if b is zero."""
    spread: float | None = None
    """Of a randomised solver: relative standard error of `value` by its repeats."""

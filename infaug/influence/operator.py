"""What a solver knows of a matrix: how it multiplies a head-shaped array.

Solvers see only `operator @ v`. Damping wraps an operator and sharding replaces one;
the solver stays the same.
"""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor


@runtime_checkable  # lets tests check signatures that name it
class Operator(Protocol):
    """A symmetric linear map of head-shaped arrays [Y, D1], used as `operator @ v`.

    Leading dimensions hold several arrays at once. The result has the wider of float32
    and v's dtype, so the caller's v chooses the precision.
    """

    def __matmul__(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """The product with every array of `v`."""
        ...


def finite(v: Float[Tensor, "*R Y D1"], name: str) -> Float[Tensor, "*R Y D1"]:
    """`v` in float32 or wider, fit to be given to a solver.

    Raises:
        ValueError: if an entry is NaN or infinite.
    """
    num_bad = int((~torch.isfinite(v)).sum())
    if num_bad:
        raise ValueError(
            f"{name} has {num_bad} entries that are NaN or infinite: check that the "
            "classifier's features and probabilities are finite (lower its learning "
            "rate, or its precision setting, if it diverged)"
        )
    return v.to(torch.promote_types(v.dtype, torch.float32))

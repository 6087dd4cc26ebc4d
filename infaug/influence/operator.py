"""What a solver knows of a matrix: how it multiplies a head-shaped array.

Solvers see only `operator @ v`. Damping wraps an operator and sharding replaces one;
the solver stays the same.
"""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
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


@runtime_checkable
class Sampled(Operator, Protocol):
    """An operator that is a mean over samples and can be had for some of them."""

    @property
    def num_samples(self) -> int:
        """N."""
        ...

    def curvature_bound(self) -> float:
        """No minibatch has an eigenvalue above it, whatever its size."""
        ...

    def minibatch(self, rows: Int64[Tensor, "n"]) -> Operator:
        """An unbiased estimate of the operator from uniformly drawn samples."""
        ...


@runtime_checkable
class Shard(Protocol):
    """A part of an operator that is a sum over samples."""

    @property
    def total_weight(self) -> float:
        """What the sum of all shards' sums is divided by, this shard's share."""
        ...

    def product_sum(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """The sum of the products of this shard's samples."""
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

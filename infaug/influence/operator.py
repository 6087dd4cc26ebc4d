"""What a solver knows of a matrix: how it multiplies a head-shaped array.

Solvers see only `operator @ v`, and return a `Solution`. Damping wraps an operator and
sharding replaces one; the solver stays the same.
"""

from dataclasses import dataclass
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


class Damped:
    """A + damping I, positive definite wherever A has no negative curvature.

    With damping equal to the L2 penalty of the head, and A the `LastLayerHessian`, it
    is the exact Hessian of mean loss + (damping/2) |[W b]|^2; the bias is damped too.

    Raises:
        ValueError: if `damping` is not positive.
    """

    def __init__(self, operator: Operator, damping: float):
        if not damping > 0:
            raise ValueError(
                "damping must be > 0: the softmax Hessian is singular, "
                f"got {damping!r}; 1e-2 is a good start"
            )
        self.operator = operator
        self.damping = damping

    def __matmul__(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """The damped product for every array of `v`."""
        return self.operator @ v + self.damping * v


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


MAX_UNKNOWNS = 5000  # take 200 MB and seconds
UNITS_PER_PRODUCT = 64  # bounds the memory of a product to 64 heads per sample chunk
TINY = 1e-300  # keeps the residual of a zero right-hand side beside others at zero


def dense(operator: Operator, b: Float[Tensor, "*R Y D1"]) -> Solution:
    """Solve A x = b by a Cholesky factorisation in float64.

    The matrix is read off products with unit vectors, so Y * D1 of them are spent; the
    value is returned in the wider of float32 and b's dtype. It is what iterative
    solvers are compared with.

    Args:
        operator: symmetric and positive definite: wrap a Hessian in `Damped`.
        b: one or several right-hand sides.

    Raises:
        ValueError: if Y * D1 is more than `MAX_UNKNOWNS`, b is not finite, or A is not
            positive definite.
    """
    size = b.shape[-2] * b.shape[-1]
    if size > MAX_UNKNOWNS:
        raise ValueError(
            f"{size} unknowns are more than the {MAX_UNKNOWNS} that influence.solver "
            "dense takes: use cg"
        )
    b = finite(b, "the right-hand side")
    wide = b.double()
    norm_b = torch.linalg.vector_norm(wide, dim=(-2, -1))
    if not norm_b.any():
        return Solution(
            torch.zeros_like(b), "the right-hand side is zero", True, 0, 0.0
        )
    matrix = _matrix(operator, wide)
    factor, failed_at = torch.linalg.cholesky_ex(matrix)
    if failed_at or not torch.isfinite(factor).all():
        raise ValueError(
            "the operator is not positive definite: wrap it in Damped, or raise "
            "damping; if it is large already, look for NaN in the features"
        )
    columns = wide.reshape(-1, size).T
    x = torch.cholesky_solve(columns, factor).to(b.dtype)
    errors = (columns - matrix @ x.double()).norm(dim=0)
    residual = float((errors / norm_b.flatten().clamp(min=TINY)).max())
    status = f"solved by Cholesky, residual {residual:.1e}"
    return Solution(x.T.reshape(b.shape), status, True, size, residual)


def _matrix(operator: Operator, like: Tensor) -> Tensor:
    size = like.shape[-2] * like.shape[-1]
    units = torch.eye(size, dtype=like.dtype, device=like.device)
    batches = units.view(size, *like.shape[-2:]).split(UNITS_PER_PRODUCT)
    return torch.cat([(operator @ batch).reshape(len(batch), -1) for batch in batches])

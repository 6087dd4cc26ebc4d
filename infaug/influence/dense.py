"""The exact solver, for problems small enough to write the matrix down."""

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.influence.operator import Operator, Solution, finite

UNITS_PER_PRODUCT = 64  # bounds the memory of a product to 64 heads per sample chunk
TINY = 1e-300  # keeps the residual of a zero right-hand side beside others at zero


def dense(
    operator: Operator, b: Float[Tensor, "*R Y D1"], *, max_unknowns: int = 5000
) -> Solution:
    """Solve A x = b by a Cholesky factorisation in float64.

    The matrix is read off products with unit vectors, so Y * D1 of them are spent; the
    value is returned in the wider of float32 and b's dtype. It is what iterative
    solvers are compared with.

    Args:
        operator: symmetric and positive definite: wrap a Hessian in `Damped`.
        b: one or several right-hand sides.
        max_unknowns: the largest Y * D1 accepted; 5,000 take 200 MB and seconds.

    Raises:
        ValueError: if the problem is too large, b is not finite, or A is not positive
            definite.
    """
    size = b.shape[-2] * b.shape[-1]
    if size > max_unknowns:
        raise ValueError(
            f"{size} unknowns are more than max_unknowns ({max_unknowns}): "
            "use cg, or raise max_unknowns (8 bytes per unknown squared)"
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

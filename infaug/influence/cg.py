"""Conjugate gradients: solve A x = b from products alone.

The residual that is returned is computed anew from the value. The one that the
recurrence carries drifts away from it in float32; where they disagree, the descent
starts again from the truth.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.influence.operator import Operator, finite
from infaug.influence.solution import Solution


def cg(
    operator: Operator,
    b: Float[Tensor, "Y D1"],
    *,
    rtol: float,
    max_products: int,
    x0: Float[Tensor, "Y D1"] | None = None,
) -> Solution:
    """Solve A x = b until |b - A x| <= rtol |b|, or `max_products` are spent.

    Works in the wider of float32 and b's dtype. If the class rows of b and `x0` sum to
    zero and A is a damped softmax Hessian, those of every iterate do. The best iterate
    is returned, also where it is not good enough: look at `converged`.

    Source: Hestenes & Stiefel 1952; for s_val, Koh & Liang 2017, section 3.

    Args:
        operator: symmetric and positive definite: wrap a Hessian in `Damped`.
        b: the right-hand side.
        rtol: relative residual to reach.
        max_products: products to spend at most, checks included.
        x0: where to start, such as the last solution; one that is worse than zero is
            not used.

    Raises:
        ValueError: if b, x0 or a product is not finite, or A has a direction without
            positive curvature.
    """
    b = finite(b, "the right-hand side")
    norm_b = float(b.double().norm())
    if norm_b == 0:
        return Solution(
            torch.zeros_like(b), "the right-hand side is zero", True, 0, 0.0
        )
    b = b / norm_b  # residuals are relative from here on, and cannot underflow
    x, r, num_products = torch.zeros_like(b), b, 0
    if x0 is not None:
        warm = finite(x0, "x0").to(b.dtype) / norm_b
        warm_r, num_products = b - operator @ warm, 1
        if warm_r.norm() < 1:
            x, r = warm, warm_r
    residual, is_stalled = float(r.norm()), False
    while residual > rtol and num_products + 2 <= max_products and not is_stalled:
        left = max_products - num_products - 1  # the last one checks the result
        new_x, num_steps = _descend(operator, x, r, rtol=rtol, max_steps=left)
        new_r = b - operator @ new_x
        num_products += num_steps + 1
        if float(new_r.norm()) < residual:
            x, r, residual = new_x, new_r, float(new_r.norm())
        else:
            is_stalled = num_steps < left  # steps remained, but no longer help
    converged = residual <= rtol
    status = _status(converged, is_stalled, num_products, residual, b.dtype)
    return Solution(x * norm_b, status, converged, num_products, residual)


def _descend(
    operator: Operator, x: Tensor, r: Tensor, *, rtol: float, max_steps: int
) -> tuple[Tensor, int]:
    """The best iterate of up to `max_steps` steps from x, whose residual is r."""
    p, rr = r, _dot(r, r)
    best, best_rr, num_steps = x, rr, 0
    while num_steps < max_steps and rr > rtol**2:
        num_steps += 1
        q = operator @ p
        step = rr / _positive(_dot(p, q))
        x, r = x + step * p, r - step * q
        last_rr, rr = rr, _dot(r, r)
        p = r + (rr / last_rr) * p
        if rr < best_rr:  # |r| does not fall in every step
            best, best_rr = x, rr
    return best, num_steps


def _dot(a: Tensor, b: Tensor) -> float:
    return float(torch.dot(a.flatten(), b.flatten()))


def _positive(curvature: float) -> float:
    if 0 < curvature < float("inf"):
        return curvature
    if curvature <= 0:
        raise ValueError(
            f"curvature {curvature:.1e} along a direction: the operator is not "
            "positive definite; wrap it in Damped, or raise damping"
        )
    raise ValueError(
        f"a product gave curvature {curvature}: look for NaN or infinity in the "
        "features, probabilities or weights behind the operator"
    )


def _status(
    converged: bool, is_stalled: bool, num: int, residual: float, dtype: torch.dtype
) -> str:
    if converged:
        return f"converged after {num} products, residual {residual:.0e}"
    if is_stalled:
        return (
            f"stalled after {num} products, residual {residual:.0e}: {dtype} allows no "
            "better; raise rtol or damping, or pass b in float64"
        )
    return (
        f"stopped after {num} products, residual {residual:.0e}: "
        "raise max_products or damping"
    )

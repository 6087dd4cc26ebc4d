"""Conjugate gradients: plain, preconditioned, and inside iterative refinement.

A descent runs on a rough operator, which may be the exact one; the residual between
descents is computed anew with the exact one. The residual that the recurrence carries
drifts away from it in float32; where they disagree, the descent starts again from the
truth. Several right-hand sides go through the same products, each with its own steps.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.influence.operator import Operator, Solution, finite

Precondition = Callable[[Tensor], Tensor]
SHRINK = 0.02  # what a descent on bfloat16 products may still be trusted to reach
WORTHWHILE = 0.5  # of the residual; a rough descent that leaves more is not repeated


def cg(
    operator: Operator,
    b: Float[Tensor, "*R Y D1"],
    *,
    rtol: float,
    max_products: int,
    x0: Float[Tensor, "*R Y D1"] | None = None,
    preconditioner: Operator | None = None,
    rough: Operator | None = None,
) -> Solution:
    """Solve A x = b until |b - A x| <= rtol |b|, or `max_products` are spent.

    Works in the wider of float32 and b's dtype. If the class rows of b and `x0` sum to
    zero and A is a damped softmax Hessian, those of every iterate do. The best iterate
    is returned, also where it is not good enough: look at `converged`. The residual is
    computed anew from it.

    A preconditioner decides how many products are spent, never what is solved. With
    `rough` descents run on that, each from the exact residual (iterative refinement):
    the result has the residual that is asked of it in float32, and nearly all products
    are cheap. Where such a descent no longer halves the residual, the rest runs on A.

    Source: Hestenes & Stiefel 1952; for s_val, Koh & Liang 2017, section 3; Golub & Van
    Loan, section 11.5; Higham, Accuracy and Stability of Numerical Algorithms, ch. 12.

    Args:
        operator: symmetric and positive definite: wrap a Hessian in `Damped`.
        b: one or several right-hand sides; a product is shared by all of them.
        rtol: relative residual to reach, for every right-hand side.
        max_products: products to spend at most, rough ones and checks included.
        x0: where to start, such as the last solution; one that is worse than zero is
            not used.
        preconditioner: `preconditioner @ r` is near A^-1 r, and it is symmetric and
            positive definite; None: the identity.
        rough: what descents multiply with, such as a damped `Rough` of the same
            Hessian; None: A.

    Raises:
        ValueError: if b, x0 or a product is not finite, or A has a direction without
            positive curvature.
    """

    def precondition(r: Tensor) -> Tensor:
        return r if preconditioner is None else preconditioner @ r

    shrink = 0.0 if rough is None else SHRINK
    rough = operator if rough is None else rough
    b = finite(b, "the right-hand side")
    norm_b = _norm(b)
    if not norm_b.any():
        return Solution(
            torch.zeros_like(b), "the right-hand side is zero", True, 0, 0.0
        )
    unit = torch.where(norm_b > 0, norm_b, 1.0).to(b.dtype)
    b = b / unit  # residuals are relative from here on, and cannot underflow
    x, r, num_products = torch.zeros_like(b), b, 0
    if x0 is not None:
        warm = finite(x0, "x0").to(b.dtype) / unit
        warm_r, num_products = b - operator @ warm, 1
        helps = _norm(warm_r) < _norm(b)
        x, r = torch.where(helps, warm, x), torch.where(helps, warm_r, r)
    residual, is_stalled = float(_norm(r).max()), False
    while residual > rtol and num_products + 2 <= max_products and not is_stalled:
        left = max_products - num_products - 1  # the last one checks the result
        target = max(rtol, shrink * residual)
        new_x, num_steps = _descend(
            rough, x, r, precondition, rtol=target, max_steps=left
        )
        new_r = b - operator @ new_x
        num_products += num_steps + 1
        norm, new_norm = _norm(r), _norm(new_r)
        better = new_norm < norm
        x, r = torch.where(better, new_x, x), torch.where(better, new_r, r)
        was, residual = residual, float(torch.where(better, new_norm, norm).max())
        if residual > WORTHWHILE * was and rough is not operator:
            rough = operator
        elif not residual < was:
            is_stalled = num_steps < left  # steps remained, but no longer help
    converged = residual <= rtol
    status = _status(converged, is_stalled, num_products, residual, b.dtype)
    return Solution(x * unit, status, converged, num_products, residual)


def _descend(
    operator: Operator,
    x: Tensor,
    r: Tensor,
    precondition: Precondition,
    *,
    rtol: float,
    max_steps: int,
) -> tuple[Tensor, int]:
    """The best iterate of up to `max_steps` steps from x, whose residual is r."""
    z = precondition(r)
    p, rz, rr = z, _dot(r, z), _dot(r, r)
    best, best_rr, num_steps = x, rr, 0
    while num_steps < max_steps and bool((active := rr > rtol**2).any()):
        num_steps += 1
        q = operator @ p
        curvature = torch.where(active, _dot(p, q), 1.0)
        _check(curvature)
        step = torch.where(active, rz / curvature, 0.0).to(r.dtype)
        x, r = torch.addcmul(x, step, p), torch.addcmul(r, step, q, value=-1)
        z, rr = precondition(r), _dot(r, r)
        last_rz, rz = rz, _dot(r, z)
        turn = torch.where(active, rz / last_rz, 0.0).to(r.dtype)
        p = torch.addcmul(z, turn, p)
        lower = rr < best_rr  # |r| does not fall in every step
        best, best_rr = torch.where(lower, x, best), torch.where(lower, rr, best_rr)
    return best, num_steps


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Of every pair of heads, summed in float64: [*R, 1, 1]."""
    return (a * b).sum(dim=(-2, -1), keepdim=True, dtype=torch.float64)


def _norm(a: Tensor) -> Tensor:
    return torch.linalg.vector_norm(a, dim=(-2, -1), keepdim=True, dtype=torch.float64)


def _check(curvatures: Tensor) -> None:
    minimum = float(curvatures.min())
    if minimum <= 0:
        raise ValueError(
            f"curvature {minimum:.1e} along a direction: the operator is not "
            "positive definite; wrap it in Damped, or raise damping"
        )
    if not bool(torch.isfinite(curvatures).all()):
        raise ValueError(
            f"a product gave curvature {float(curvatures.max())}: look for NaN or "
            "infinity in the features or probabilities behind the operator"
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

"""Conjugate gradients: solve A x = b from products alone."""

from jaxtyping import Float
from torch import Tensor

from infaug.influence.conjugate import solve_by_descents
from infaug.influence.operator import Operator
from infaug.influence.solution import Solution


def cg(
    operator: Operator,
    b: Float[Tensor, "*R Y D1"],
    *,
    rtol: float,
    max_products: int,
    x0: Float[Tensor, "*R Y D1"] | None = None,
) -> Solution:
    """Solve A x = b until |b - A x| <= rtol |b|, or `max_products` are spent.

    Works in the wider of float32 and b's dtype. If the class rows of b and `x0` sum to
    zero and A is a damped softmax Hessian, those of every iterate do. The best iterate
    is returned, also where it is not good enough: look at `converged`. The residual is
    computed anew from it.

    Source: Hestenes & Stiefel 1952; for s_val, Koh & Liang 2017, section 3.

    Args:
        operator: symmetric and positive definite: wrap a Hessian in `Damped`.
        b: one or several right-hand sides; a product is shared by all of them.
        rtol: relative residual to reach.
        max_products: products to spend at most, checks included.
        x0: where to start, such as the last solution; one that is worse than zero is
            not used.

    Raises:
        ValueError: if b, x0 or a product is not finite, or A has a direction without
            positive curvature.
    """
    return solve_by_descents(
        operator,
        b,
        rough=operator,
        precondition=lambda r: r,
        shrink=0.0,
        rtol=rtol,
        max_products=max_products,
        x0=x0,
    )

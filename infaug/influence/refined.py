"""Cheap products for the way, exact ones for the truth."""

from jaxtyping import Float
from torch import Tensor

from infaug.influence.conjugate import solve_by_descents
from infaug.influence.operator import Operator
from infaug.influence.solution import Solution

SHRINK = 0.02  # what a descent on bfloat16 products may still be trusted to reach


def refined(
    operator: Operator,
    b: Float[Tensor, "*R Y D1"],
    *,
    rough: Operator,
    preconditioner: Operator,
    rtol: float,
    max_products: int,
    x0: Float[Tensor, "*R Y D1"] | None = None,
) -> Solution:
    """Solve A x = b by descents on `rough`, each from the exact residual.

    Iterative refinement: with `rough` a damped `Rough` of the same Hessian, the result
    has the residual that is asked of it in float32, and nearly all products are cheap.
    Where a descent on `rough` no longer halves the residual, the rest runs on A itself.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, chapter 12.

    Args:
        operator: symmetric and positive definite; two to four products with it.
        b: one or several right-hand sides.
        rough: near A and cheaper; symmetric up to rounding, positive definite.
        preconditioner: symmetric and positive definite, such as `KroneckerInverse`.
        rtol: relative residual to reach.
        max_products: products to spend at most, those with `rough` included.
        x0: where to start; one that is worse than zero is not used.

    Raises:
        ValueError: as `cg`.
    """
    return solve_by_descents(
        operator,
        b,
        rough=rough,
        precondition=lambda r: preconditioner @ r,
        shrink=SHRINK,
        rtol=rtol,
        max_products=max_products,
        x0=x0,
    )

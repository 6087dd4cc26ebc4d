"""Conjugate gradients with a preconditioner: fewer products, each a little dearer."""

from jaxtyping import Float
from torch import Tensor

from infaug.influence.conjugate import solve_by_descents
from infaug.influence.operator import Operator
from infaug.influence.solution import Solution


def pcg(
    operator: Operator,
    b: Float[Tensor, "*R Y D1"],
    *,
    preconditioner: Operator,
    rtol: float,
    max_products: int,
    x0: Float[Tensor, "*R Y D1"] | None = None,
) -> Solution:
    """Solve A x = b as `cg` does, with `preconditioner @ r` near A^-1 r.

    The result, its residual and what is counted are those of `cg`: the preconditioner
    decides how many products are spent, never what is solved.

    Source: Hestenes & Stiefel 1952; Golub & Van Loan, section 11.5.

    Args:
        operator: symmetric and positive definite.
        b: one or several right-hand sides.
        preconditioner: symmetric and positive definite, such as `KroneckerInverse`.
        rtol: relative residual to reach.
        max_products: products with A to spend at most, checks included.
        x0: where to start; one that is worse than zero is not used.

    Raises:
        ValueError: as `cg`.
    """
    return solve_by_descents(
        operator,
        b,
        rough=operator,
        precondition=lambda r: preconditioner @ r,
        shrink=0.0,
        rtol=rtol,
        max_products=max_products,
        x0=x0,
    )

"""Damping as an operator around an operator."""

from jaxtyping import Float
from torch import Tensor

from infaug.influence.operator import Operator


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

"""Fit the head to convergence on fixed features: the truth behind a prediction.

Newton's method, its steps solved by our own conjugate gradients, its line search on the
gradient norm: near the optimum the loss itself no longer changes in float64, but the
gradient still does. That norm falls along every Newton step of a convex objective.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from infaug.influence.conjugate import cg
from infaug.influence.gradient import mean_head_gradient
from infaug.influence.hessian import LastLayerHessian
from infaug.influence.operator import Damped

STEP_RTOL = 1e-4  # each step then shrinks the gradient up to 10,000 times
SUFFICIENT_FALL = 1e-4  # the share of the promised fall that a step must deliver
MIN_LENGTH = 1e-10  # of a step
ADVICE = "raise damping or max_steps, scale the features down, or relax tol"


def head_loss(
    head: Float[Tensor, "Y D1"], h1: Float[Tensor, "N D1"], y: Float[Tensor, "N Y"]
) -> Float[Tensor, ""]:
    """Mean cross-entropy of the head [W b], nats, without any penalty."""
    return -(y * (h1 @ head.T).log_softmax(dim=1)).sum(dim=1).mean()


def refit_head(
    h1: Float[Tensor, "N D1"],
    y: Float[Tensor, "N Y"],
    *,
    damping: float,
    weights: Float[Tensor, "N"] | None = None,
    init: Float[Tensor, "Y D1"] | None = None,
    tol: float = 1e-9,
    max_steps: int = 100,
) -> Float[Tensor, "Y D1"]:
    """The head that minimises mean cross-entropy + (damping/2) |[W b]|^2, in float64.

    The mean is over N, or weighted: sum of w loss over sum of w. The bias is penalised
    too, so the objective's Hessian is exactly H + damping I and its minimum is unique.

    Args:
        h1: features with a one appended.
        y: labels, soft or hard.
        damping: the penalty, > 0.
        weights: how much each sample counts; None: one each.
        init: where to start; None: zero. A head nearby leaves two or three steps.
        tol: gradient norm to reach.
        max_steps: Newton steps before it is an error.

    Raises:
        ValueError: if the gradient norm does not reach `tol`.
    """
    objective = _Objective(h1.double(), y.double(), weights, damping)
    head = objective.zero() if init is None else init.double()
    gradient = objective.gradient(head)
    for _ in range(max_steps):
        if gradient.norm() < tol:
            return head
        step = cg(
            objective.hessian(head),
            gradient,
            rtol=STEP_RTOL,
            max_products=10 * head.numel(),
        )
        head, gradient = _walk(objective, head, gradient, step.value)
    if gradient.norm() < tol:
        return head
    raise ValueError(
        f"the head was not fitted after {max_steps} Newton steps: gradient norm "
        f"{float(gradient.norm()):.1e}, tol {tol:.1e}; {ADVICE}"
    )


@dataclass(frozen=True)
class _Objective:
    """Mean cross-entropy + (damping/2) |head|^2."""

    h1: Tensor
    y: Tensor
    weights: Tensor | None
    damping: float

    def zero(self) -> Tensor:
        return self.h1.new_zeros(self.y.shape[1], self.h1.shape[1])

    def probs(self, head: Tensor) -> Tensor:
        return (self.h1 @ head.T).softmax(dim=1)

    def gradient(self, head: Tensor) -> Tensor:
        mean = mean_head_gradient(self.probs(head), self.y, self.h1, self.weights)
        return mean + self.damping * head

    def hessian(self, head: Tensor) -> Damped:
        plain = LastLayerHessian(self.h1, self.probs(head), self.weights)
        return Damped(plain, self.damping)


def _walk(
    objective: _Objective, head: Tensor, gradient: Tensor, step: Tensor
) -> tuple[Tensor, Tensor]:
    """The head after as much of `step` as lowers the gradient norm, its gradient."""
    length = 1.0
    while length > MIN_LENGTH:
        new_head = head - length * step
        new_gradient = objective.gradient(new_head)
        if new_gradient.norm() <= (1 - SUFFICIENT_FALL * length) * gradient.norm():
            return new_head, new_gradient
        length /= 2
    raise ValueError(
        "the head was not fitted: no step lowers its gradient norm below "
        f"{float(gradient.norm()):.1e}; {ADVICE}"
    )

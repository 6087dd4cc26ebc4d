"""Predicted against actual: is the influence what retraining shows?

The head alone is refitted, to convergence and in float64, so that nothing but the
first-order approximation separates the two numbers. Newton's method, its steps solved
by our own conjugate gradients, its line search on the gradient norm: near the optimum
the loss itself no longer changes in float64, but the gradient still does.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from scipy.stats import rankdata
from torch import Tensor

from infaug.influence.conjugate import cg
from infaug.influence.hessian import LastLayerHessian
from infaug.influence.operator import Damped
from infaug.influence.score import mean_head_gradient, replace_influence

STEP_RTOL = 1e-4  # each step then shrinks the gradient up to 10,000 times
SUFFICIENT_FALL = 1e-4  # the share of the promised fall that a step must deliver
MIN_LENGTH = 1e-10  # of a step
MAX_STEPS = 100  # of Newton's method; a head nearby leaves two or three
ADVICE = "raise damping, scale the features down, or relax tol"


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
    init: Float[Tensor, "Y D1"] | None = None,
    tol: float = 1e-9,
) -> Float[Tensor, "Y D1"]:
    """The head that minimises mean cross-entropy + (damping/2) |[W b]|^2, in float64.

    The mean is over N. The bias is penalised too, so the objective's Hessian is exactly
    H + damping I and its minimum is unique.

    Args:
        h1: features with a one appended.
        y: labels, soft or hard.
        damping: the penalty, > 0.
        init: where to start; None: zero. A head nearby leaves two or three steps.
        tol: gradient norm to reach.

    Raises:
        ValueError: if the gradient norm does not reach `tol`.
    """
    objective = _Objective(h1.double(), y.double(), damping)
    head = h1.new_zeros(y.shape[1], h1.shape[1]) if init is None else init
    head = head.double()
    gradient = objective.gradient(head)
    for _ in range(MAX_STEPS):
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
        f"the head was not fitted after {MAX_STEPS} Newton steps: gradient norm "
        f"{float(gradient.norm()):.1e}, tol {tol:.1e}; {ADVICE}"
    )


@dataclass(frozen=True)
class _Objective:
    """Mean cross-entropy + (damping/2) |head|^2."""

    h1: Tensor
    y: Tensor
    damping: float

    def gradient(self, head: Tensor) -> Tensor:
        mean = mean_head_gradient(_probs(head, self.h1), self.y, self.h1)
        return mean + self.damping * head

    def hessian(self, head: Tensor) -> Damped:
        return Damped(LastLayerHessian(self.h1, _probs(head, self.h1)), self.damping)


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


CLEAR_SHARE = 0.05  # of the largest prediction; below it a sign is hardly predicted


@dataclass(frozen=True)
class Validation:
    """Predicted and actual changes of the validation loss, and how they agree."""

    predicted: Float[Tensor, "P"]
    """I_aug / N for each replaced sample, nats; negative: the loss should fall."""
    actual: Float[Tensor, "P"]
    """L_val(after) - L_val(before) with the head refitted, nats."""
    pearson: float
    """Linear correlation of the two."""
    spearman: float
    """Rank correlation of the two."""
    slope: float
    """Least squares through the origin of actual on predicted; 1 is exact."""
    sign_agreement: float
    """Share of equal signs among |predicted| >= 5 % of the largest |predicted|."""


def validate(
    h1_train: Float[Tensor, "N D1"],
    y_train: Float[Tensor, "N Y"],
    h1_aug: Float[Tensor, "P D1"],
    picked: Int[Tensor, "P"],
    h1_val: Float[Tensor, "M D1"],
    y_val: Float[Tensor, "M Y"],
    *,
    damping: float,
) -> Validation:
    """Replace picked samples one at a time, refit the head, compare with I_aug / N.

    `h1_aug` are the features of the augmented image of each row `picked` of `h1_train`.

    The objective is mean loss + (damping/2) |[W b]|^2, so that H + damping I is its
    exact Hessian. S and the predictions come from the head fitted to the originals;
    labels stay, and may be soft. Everything is float64.

    Source: Koh & Liang 2017, section 4.1, with replacement instead of removal.

    Raises:
        ValueError: if a refit does not converge: damping is too small for the features.
    """
    h1_train, h1_aug, h1_val = h1_train.double(), h1_aug.double(), h1_val.double()
    y_train, y_val = y_train.double(), y_val.double()
    head = refit_head(h1_train, y_train, damping=damping)
    s_val = _s_val(head, h1_train, h1_val, y_val, damping)
    h1 = h1_train[picked]
    influence = replace_influence(
        s_val, y_train[picked], _probs(head, h1), h1, _probs(head, h1_aug), h1_aug
    )
    before = head_loss(head, h1_val, y_val)
    changes = []
    for row, h1_new in zip(picked.tolist(), h1_aug, strict=True):
        changed = h1_train.clone()
        changed[row] = h1_new
        refitted = refit_head(changed, y_train, damping=damping, init=head)
        changes.append(head_loss(refitted, h1_val, y_val) - before)
    return agreement(influence / len(h1_train), torch.stack(changes))


def agreement(predicted: Float[Tensor, "P"], actual: Float[Tensor, "P"]) -> Validation:
    """The record of predicted and actual changes, with its four measures.

    >>> agreement(torch.tensor([-2.0, 1.0, 3.0]), torch.tensor([-2.0, 1.0, 3.0])).slope
    1.0
    """
    clear = predicted.abs() >= CLEAR_SHARE * predicted.abs().max()
    same_sign = predicted.sign() == actual.sign()
    return Validation(
        predicted=predicted,
        actual=actual,
        pearson=_correlation(predicted, actual),
        spearman=_correlation(_ranks(predicted), _ranks(actual)),
        slope=float(predicted @ actual / (predicted @ predicted)),
        sign_agreement=float(same_sign[clear].double().mean()),
    )


def _correlation(a: Tensor, b: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a, b]))[0, 1])


def _ranks(values: Tensor) -> Tensor:
    return torch.from_numpy(rankdata(values.numpy(force=True)))


def _probs(head: Tensor, h1: Tensor) -> Tensor:
    return (h1 @ head.T).softmax(dim=1)


def _s_val(
    head: Tensor, h1: Tensor, h1_val: Tensor, y_val: Tensor, damping: float
) -> Tensor:
    hessian = Damped(LastLayerHessian(h1, _probs(head, h1)), damping)
    grad_val = mean_head_gradient(_probs(head, h1_val), y_val, h1_val)
    solution = cg(hessian, grad_val, rtol=1e-8, max_products=10 * head.numel())
    if not solution.converged:
        raise ValueError(f"s_val was not found: {solution.status}")
    return solution.value

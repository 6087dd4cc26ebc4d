"""Predicted against actual: is the influence what retraining shows?

The head alone is refitted, to convergence and in float64, so that nothing but the
first-order approximation separates the two numbers.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from scipy.stats import rankdata
from torch import Tensor

from infaug.influence.conjugate import cg
from infaug.influence.gradient import mean_head_gradient
from infaug.influence.hessian import LastLayerHessian
from infaug.influence.operator import Damped
from infaug.influence.refit import head_loss, refit_head
from infaug.influence.score import replace_influence

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

    The objective is mean loss + (damping/2) |[W b]|^2, so that H + damping I is its
    exact Hessian. S and the predictions come from the head fitted to the originals;
    labels stay, and may be soft. Everything is float64.

    Source: Koh & Liang 2017, section 4.1, with replacement instead of removal.

    Args:
        h1_train: features of the originals, a one appended.
        y_train: their labels.
        h1_aug: features of the augmented image of each picked sample.
        picked: their rows in `h1_train`; at least two.
        h1_val: features of the validation samples.
        y_val: their labels.
        damping: > 0.

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

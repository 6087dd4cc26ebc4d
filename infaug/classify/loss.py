"""Cross-entropy with soft labels over weighted views, and how views come to weigh.

The losses of views are siblings: logits, labels and weights in, a sum over samples out.
"""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from infaug.config import ViewLoss

LossOfViews = Callable[[Tensor, Tensor, Tensor], Tensor]


def soft_cross_entropy(
    logits: Float[Tensor, "B Y"], y: Float[Tensor, "B Y"]
) -> Float[Tensor, "B"]:
    """-sum_c y_c log p_c of each sample, in nats; rows of `y` sum to one."""
    return -(y * F.log_softmax(logits.float(), dim=1)).sum(dim=1)


def weighted_views_loss(
    logits: Float[Tensor, "B K Y"],
    y: Float[Tensor, "B K Y"],
    weights: Float[Tensor, "B K"],
) -> Float[Tensor, ""]:
    """Sum over samples of the weighted cross-entropy of their views, in nats.

    sum_b sum_k w[b,k] l(logits[b,k], y[b,k]). A sum, so that the parts of a batch held
    by several workers add; the caller divides by the global number of samples. Rows of
    `weights` sum to one for a mean over views.
    """
    return (view_losses(logits, y) * weights).sum()


def view_losses(
    logits: Float[Tensor, "B K Y"], y: Float[Tensor, "B K Y"]
) -> Float[Tensor, "B K"]:
    """Cross-entropy of every view, nats."""
    losses = soft_cross_entropy(logits.flatten(0, 1), y.flatten(0, 1))
    return losses.unflatten(0, logits.shape[:2])


def mmel_weights(
    losses: Float[Tensor, "B K"], weights: Float[Tensor, "B K"], temperature: float
) -> Float[Tensor, "B K"]:
    """How much each view counts: w[b,k] exp(l[b,k] / temperature), over their sum.

    The weights u for which sum_k u_k l_k - temperature KL(u | w) is greatest: the worst
    that a reweighting of the views can do, if straying from `weights` has a price. Rows
    sum to one. Constants for whoever minimises the loss, by the envelope theorem. The
    temperature (nats) large: `weights`; towards 0: all on the worst view.

    Yi et al., "Reweighting Augmented Samples by Minimizing the Maximal Expected Loss",
    ICLR 2021.
    """
    return torch.softmax(weights.log() + losses.detach() / temperature, dim=1)


def mmel_hard_loss(
    logits: Float[Tensor, "B K Y"],
    y: Float[Tensor, "B K Y"],
    weights: Float[Tensor, "B K"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """Sum over samples of the maximal expected loss of their views, nats.

    As `weighted_views_loss`, with `mmel_weights` in place of the weights themselves.
    """
    losses = view_losses(logits, y)
    return (losses * mmel_weights(losses, weights, temperature)).sum()


def mmel_soft_loss(
    logits: Float[Tensor, "B K Y"],
    y: Float[Tensor, "B K Y"],
    weights: Float[Tensor, "B K"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """The same, with what F says of the original in place of the views' labels.

    View 0 is the original x. sum_b (l(x, y) + sum_{k>0} u_k l(x_k, p(x))) / 2, where
    p(x) and u are constants; half, so that learning rates suit both kinds. That the two
    terms weigh alike is our choice.
    """
    target = logits[:, :1].detach().float().softmax(dim=2).expand_as(logits[:, 1:])
    original = view_losses(logits[:, :1], y[:, :1]).sum()
    views = mmel_hard_loss(
        logits[:, 1:], target, weights[:, 1:], temperature=temperature
    )
    return (original + views) / 2


def loss_of_views(kind: ViewLoss, temperature: float) -> LossOfViews:
    """The loss of this name; `temperature` is MMEL's."""
    if kind == "mean":
        return weighted_views_loss
    losses = {"mmel_hard": mmel_hard_loss, "mmel_soft": mmel_soft_loss}
    return partial(losses[kind], temperature=temperature)

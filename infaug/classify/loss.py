"""Cross-entropy with soft labels over weighted views."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


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
    losses = soft_cross_entropy(logits.flatten(0, 1), y.flatten(0, 1))
    return (losses * weights.flatten()).sum()

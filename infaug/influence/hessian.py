"""The Hessian of the mean cross-entropy in the head, as an operator.

Products are exact sums over samples, so the sums of shards add up to the whole: carry
`product_sum` and `total_weight`, and divide once.
"""

import torch
from jaxtyping import Float
from torch import Tensor


class LastLayerHessian:
    """H of the softmax head [W b], multiplied in closed form: no autograd.

    H V = sum of w (diag p - p p^T)(V h1) h1^T over sum of w; without weights the mean
    over N. It does not depend on labels, soft or hard. Positive semi-definite and
    always singular: adding one vector to every class row of V changes no probability,
    which makes D + 1 null directions; wrap it in `Damped` before solving.

    Source: Koh & Liang 2017, section 3 (H of the training loss), for the last layer.

    Args:
        h1: features with a one appended; may be stored in less than float32.
        probs: the head's probabilities for them.
        weights: how much each sample counts in the training loss; None: one each.
        chunk_size: samples per pair of matrix products, which bounds the memory.

    Raises:
        ValueError: if a weight is negative, or they sum to zero.
    """

    def __init__(
        self,
        h1: Float[Tensor, "N D1"],
        probs: Float[Tensor, "N Y"],
        weights: Float[Tensor, "N"] | None = None,
        *,
        chunk_size: int = 16384,
    ):
        self.h1 = h1
        self.probs = probs
        self.weights = weights
        self.chunk_size = chunk_size
        self.total_weight = _total_weight(len(h1), weights)

    def __matmul__(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """H V, the weighted mean over samples, for every array of `v`."""
        return self.product_sum(v) / self.total_weight

    def product_sum(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """H V before the division by `total_weight`: what shards add up.

        Accumulated in the wider of float32 and v's dtype, whatever h1 is stored in.
        """
        v = v.to(torch.promote_types(v.dtype, torch.float32))
        total = torch.zeros_like(v)
        for start in range(0, len(self.h1), self.chunk_size):
            total += self._chunk_sum(v, slice(start, start + self.chunk_size))
        return total

    def _chunk_sum(self, v: Tensor, chunk: slice) -> Tensor:
        h1 = self.h1[chunk].to(v.dtype)
        probs = self.probs[chunk].to(v.dtype)
        slopes = h1 @ v.mT  # change of the logits along V: [*R, n, Y]
        changes = probs * (slopes - (probs * slopes).sum(-1, keepdim=True))
        if self.weights is not None:
            changes = self.weights[chunk, None].to(v.dtype) * changes
        return changes.mT @ h1


def _total_weight(num_samples: int, weights: Tensor | None) -> float:
    if weights is None:
        total, least = float(num_samples), 1.0
    else:
        total, least = float(weights.double().sum()), float(weights.min())
    if least < 0 or total <= 0:
        raise ValueError(
            "sample weights must be >= 0 and not all zero, so that H has no negative "
            f"curvature, got a smallest of {least} and a sum of {total}"
        )
    return total

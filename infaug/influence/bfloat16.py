"""Products in bfloat16: several times cheaper where the hardware has them.

The sums themselves stay wide: only what enters the two matrix products is rounded.
"""

import torch
from jaxtyping import Float
from torch import Tensor


class BFloat16Hessian:
    """`LastLayerHessian` with the operands of its matrix products in bfloat16.

    A product is off by about 0.4 % of its size, so it is no operator to report a
    residual with: give it to `refined` as `rough`.

    Args:
        h1: features with a one appended; rounded to bfloat16 and kept.
        probs: the head's probabilities for them, used as they are.
        weights: how much each sample counts in the training loss; None: one each.
        total_weight: what the sum over samples is divided by.
        chunk_size: samples per pair of matrix products and head.
    """

    def __init__(
        self,
        h1: Float[Tensor, "N D1"],
        probs: Float[Tensor, "N Y"],
        weights: Float[Tensor, "N"] | None,
        *,
        total_weight: float,
        chunk_size: int,
    ):
        self.h1 = h1.bfloat16()
        self.probs = probs
        self.weights = weights
        self.total_weight = total_weight
        self.chunk_size = chunk_size

    @torch.no_grad()
    def __matmul__(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """H v, roughly, in v's dtype."""
        flat = v.reshape(-1, v.shape[-1]).bfloat16()
        num_heads = flat.shape[0] // v.shape[-2]
        total = torch.zeros(flat.shape, dtype=v.dtype, device=v.device)
        step = max(1, self.chunk_size // num_heads)
        for first in range(0, len(self.h1), step):
            chunk = slice(first, first + step)
            h1 = self.h1[chunk]
            probs = self.probs[chunk].to(torch.float32)[:, None]
            slopes = (h1 @ flat.T).float().unflatten(1, (num_heads, -1))
            changes = slopes.mul_(probs)
            changes.addcmul_(probs, changes.sum(-1, keepdim=True), value=-1)
            if self.weights is not None:
                changes.mul_(self.weights[chunk, None, None].to(changes.dtype))
            total += changes.flatten(1).bfloat16().T @ h1
        return (total / self.total_weight).view_as(v)

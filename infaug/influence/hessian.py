"""The Hessian of the mean cross-entropy in the head, as an operator.

Products are exact sums over samples, so the sums of shards add up to the whole: carry
`product_sum` and `num_samples`, and divide once.
"""

from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from infaug.influence.kronecker import FactorSums, factor_sums
from infaug.influence.operator import Operator


@runtime_checkable
class HeadHessian(Operator, Protocol):
    """A mean over samples, whole, in shards here, or in shards elsewhere."""

    @property
    def num_samples(self) -> int:
        """What its sums are divided by."""
        ...

    def rough_sum(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """`product_sum` with the operands of its matrix products rounded."""
        ...

    def factor_sums(self) -> FactorSums:
        """Sums over the samples, or over some of them, for a preconditioner."""
        ...


class Rough:
    """A Hessian multiplied in bfloat16: the `rough` of `cg`, inside `Damped`.

    A product is off by about 0.4 % of its size, so it reports no residual.
    """

    def __init__(self, hessian: HeadHessian):
        self.hessian = hessian

    def __matmul__(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """H v, roughly, in v's dtype."""
        return self.hessian.rough_sum(v) / self.hessian.num_samples


FACTOR_SAMPLES = 8  # for each feature
# Samples times arrays per pair of matrix products: a product takes memory for so many
# times Y numbers.
CHUNK_SIZE = 4096


class LastLayerHessian:
    """H of the softmax head [W b], multiplied in closed form: no autograd.

    H V = mean of (diag p - p p^T)(V h1) h1^T over N. It does not depend on labels, soft
    or hard. Positive semi-definite and always singular: adding one vector to every
    class row of V changes no probability, which makes D + 1 null directions; wrap it in
    `Damped` before solving.

    Source: Koh & Liang 2017, section 3 (H of the training loss), for the last layer.

    Args:
        h1: features with a one appended; may be stored in less than float32.
        probs: the head's probabilities for them.
    """

    def __init__(self, h1: Float[Tensor, "N D1"], probs: Float[Tensor, "N Y"]):
        self.h1 = h1
        self.probs = probs

    def __matmul__(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """H V, the mean over samples, for every array of `v`."""
        return self.product_sum(v) / self.num_samples

    @torch.no_grad()
    def product_sum(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """H V before the division by `num_samples`: what shards add up.

        Accumulated in the wider of float32 and v's dtype, whatever h1 is stored in.
        Several arrays share each matrix product, and the memory for one.
        """
        v = v.to(torch.promote_types(v.dtype, torch.float32))
        heads = v.reshape(-1, v.shape[-1])
        num_heads = heads.shape[0] // v.shape[-2]
        total = torch.zeros_like(heads)
        step = max(1, CHUNK_SIZE // num_heads)
        # One buffer for all chunks: fresh pages would cost a tenth of the product.
        buffer = v.new_empty(min(step, len(self.h1)), heads.shape[0])
        for first in range(0, len(self.h1), step):
            chunk = slice(first, first + step)
            h1 = self.h1[chunk].to(v.dtype)
            changes = _changes(h1, self.probs[chunk], heads, out=buffer[: len(h1)])
            total.addmm_(changes.T, h1)
        return total.view_as(v)

    @property
    def num_samples(self) -> int:
        """N."""
        return len(self.h1)

    def curvature_bound(self) -> float:
        """0.5 max |h1|^2: diag p - p p^T <= 1/2 I for every p."""
        return 0.5 * float(self.h1.float().square().sum(dim=1).max())

    def minibatch(self, rows: Int64[Tensor, "n"]) -> "Minibatch":
        """H estimated by some samples."""
        return Minibatch(
            self.h1.index_select(0, rows), self.probs.index_select(0, rows)
        )

    def factor_sums(self) -> FactorSums:
        """Of every k-th sample, at most about eight for each feature.

        Enough for a preconditioner, and cheap beside a single product.
        """
        every = max(1, len(self.h1) // (FACTOR_SAMPLES * self.h1.shape[1]))
        return factor_sums(self.h1[::every], self.probs[::every])

    @torch.no_grad()
    def rough_sum(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """`product_sum` with V, h1 and the changes in bfloat16; h1 is rounded once.

        The change of the probabilities is computed and sums over chunks are kept in
        float32 or v's wider dtype.
        """
        v = v.to(torch.promote_types(v.dtype, torch.float32))
        flat = v.reshape(-1, v.shape[-1]).bfloat16()
        num_heads = flat.shape[0] // v.shape[-2]
        total = torch.zeros(flat.shape, dtype=v.dtype, device=v.device)
        step = max(1, CHUNK_SIZE // num_heads)
        for first in range(0, len(self.h1), step):
            chunk = slice(first, first + step)
            h1, p = self._rounded_h1[chunk], self.probs[chunk].float()[:, None]
            changes = (h1 @ flat.T).float().unflatten(1, (num_heads, -1)).mul_(p)
            changes.addcmul_(p, changes.sum(-1, keepdim=True), value=-1)
            total += changes.flatten(1).bfloat16().T @ h1
        total = total.view_as(v)
        # Exactly, class rows sum to zero; rounding would leave errors where H has no
        # curvature, and a solution divides those by the damping alone.
        return total - total.mean(dim=-2, keepdim=True)

    @cached_property
    def _rounded_h1(self) -> Tensor:
        return self.h1.bfloat16()


class Minibatch:
    """The Hessian of few samples: one pair of products and nothing around it."""

    def __init__(self, h1: Float[Tensor, "n D1"], probs: Float[Tensor, "n Y"]):
        self.h1, self.probs = h1, probs

    def __matmul__(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """The estimate of H V, in v's dtype."""
        h1 = self.h1.to(v.dtype)
        changes = _changes(h1, self.probs, v.reshape(-1, v.shape[-1]))
        return (changes.T @ h1).div_(len(h1)).view_as(v)


def _changes(
    h1: Tensor, probs: Tensor, heads: Tensor, out: Tensor | None = None
) -> Tensor:
    """Of the probabilities of every sample along every head: [n, R * Y]."""
    flat = torch.mm(h1, heads.T, out=out)  # first of the logits, then in place
    probs = probs.to(flat.dtype)
    changes = flat
    if heads.shape[0] != probs.shape[1]:
        changes, probs = flat.view(len(h1), -1, probs.shape[1]), probs[:, None]
    changes.mul_(probs)
    changes.addcmul_(probs, changes.sum(-1, keepdim=True), value=-1)
    return flat

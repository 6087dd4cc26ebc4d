"""The Hessian of a training set that is cut into shards, as one operator.

H is a sum over samples, so the sums of shards add up exactly. They are added in shard
order and divided once: the same shards give the same bytes, whoever holds them.
"""

from collections.abc import Iterable, Sequence

from jaxtyping import Float, Int64
from torch import Tensor

from infaug.influence.hessian import LastLayerHessian, Minibatch
from infaug.influence.kronecker import FactorSums


class ShardedHessian:
    """H V = sum over shards of their `product_sum` over the number of samples.

    Another partition of the same samples agrees to rounding.

    Raises:
        ValueError: if there is no shard.
    """

    def __init__(self, shards: Sequence[LastLayerHessian]):
        if not shards:
            raise ValueError("a sharded Hessian needs at least one shard, got none")
        self.shards = shards

    def __matmul__(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """H V for every array of `v`."""
        return self.product_sum(v) / self.num_samples

    def product_sum(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """The sum itself: shards of shards add up too."""
        return in_order(shard.product_sum(v) for shard in self.shards)

    def rough_sum(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """The same in bfloat16."""
        return in_order(shard.rough_sum(v) for shard in self.shards)

    def factor_sums(self) -> FactorSums:
        """Sums over some samples of every shard, for a preconditioner."""
        first, *others = (shard.factor_sums() for shard in self.shards)
        return sum(others, first)

    @property
    def num_samples(self) -> int:
        """N, over all shards; rows are numbered through them in order."""
        return sum(shard.num_samples for shard in self.shards)

    def curvature_bound(self) -> float:
        """Of any minibatch over all shards."""
        return max(shard.curvature_bound() for shard in self.shards)

    def minibatch(self, rows: Int64[Tensor, "n"]) -> "ShardedMinibatch":
        """H estimated by some samples of any shards."""
        parts, first = [], 0
        for shard in self.shards:
            inside = rows[(rows >= first) & (rows < first + shard.num_samples)] - first
            if len(inside):
                parts.append(shard.minibatch(inside))
            first += shard.num_samples
        return ShardedMinibatch(parts, len(rows))


class ShardedMinibatch:
    """The minibatch estimates of shards, as one."""

    def __init__(self, parts: Sequence[Minibatch], num_samples: int):
        self.parts = parts
        self.num_samples = num_samples

    def __matmul__(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """The estimate of H V, in v's dtype."""
        shares = ((len(part.h1) / self.num_samples, part) for part in self.parts)
        return in_order((part @ v) * share for share, part in shares)


def in_order(parts: Iterable[Tensor]) -> Tensor:
    """The sum of at least one part, first to last."""
    first, *others = parts
    total = first.clone()
    for part in others:
        total += part
    return total

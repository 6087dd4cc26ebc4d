"""The Hessian of a training set that is cut into shards, as one operator.

H is a sum over samples, so the sums of shards add up exactly. They are added in shard
order and divided once: the same shards give the same bytes, whoever holds them.
"""

from collections.abc import Iterable, Sequence

from jaxtyping import Float
from torch import Tensor

from infaug.influence.hessian import LastLayerHessian


class ShardedHessian:
    """H V = sum over shards of their `product_sum` over the sum of their weights.

    Raises:
        ValueError: if there is no shard.
    """

    def __init__(self, shards: Sequence[LastLayerHessian]):
        if not shards:
            raise ValueError("a sharded Hessian needs at least one shard, got none")
        self.shards = shards
        self.total_weight = sum(shard.total_weight for shard in shards)

    def __matmul__(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """H V for every array of `v`."""
        return in_order(s.product_sum(v) for s in self.shards) / self.total_weight


def in_order(parts: Iterable[Tensor]) -> Tensor:
    """The sum of at least one part, first to last."""
    first, *others = parts
    total = first.clone()
    for part in others:
        total += part
    return total

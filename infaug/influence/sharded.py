"""The Hessian of samples that lie in several places."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from infaug.influence.operator import Shard


class ShardedHessian:
    """Sum of the shards' sums over the sum of their weights.

    Added in the order given, whoever computed which and when, so equal shards give
    equal bytes. Another partition of the same samples agrees to rounding.

    Args:
        shards: at least one.
    """

    def __init__(self, shards: Sequence[Shard]):
        assert shards, "a sum of no shards has no shape"
        self.shards = shards
        self.total_weight = sum(shard.total_weight for shard in shards)

    def __matmul__(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """The product with every array of `v`."""
        return self.product_sum(v) / self.total_weight

    def product_sum(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """The sum itself: shards of shards add up too."""
        total = self.shards[0].product_sum(v)
        for shard in self.shards[1:]:
            total = total + shard.product_sum(v)
        return total

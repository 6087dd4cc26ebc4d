"""The Hessian whose shards the pool's actors hold: one more operator.

It equals `influence.sharded.ShardedHessian` of the same shards to the last byte: the
same sums, added in the same order.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from ray.actor import ActorHandle
from torch import Tensor

from infaug.distributed.pool_actor import Source, as_tensor, put
from infaug.distributed.pool_crew import Crew
from infaug.influence.kronecker import FactorSums
from infaug.influence.sharded import in_order


class PoolHessian:
    """H V = sum over shards, in shard order, over the sum of their weights.

    Args:
        crew: who holds the shards.
        sources: what each shard is made of.
    """

    def __init__(self, crew: Crew, sources: Sequence[Source]):
        self.crew = crew
        self.sources = list(sources)
        self.bytes_moved = 0
        weights = crew.do(range(len(sources)), self._ask_weights)
        self.total_weight = sum(weights[n] for n in range(len(sources)))

    def __matmul__(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """H V for every array of `v`."""
        return self.product_sum(v) / self.total_weight

    def product_sum(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """The sum itself."""
        return in_order(self._parts("product_sum", v))

    def rough_sum(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """The same in bfloat16."""
        return in_order(self._parts("rough_sum", v))

    def factor_sums(self) -> FactorSums:
        """Sums over some samples of every shard, for a preconditioner."""

        def ask(actor: ActorHandle, share: list[int]) -> Any:
            return actor.partials.remote(self._some(share), "factor_sums")

        parts = self.crew.do(range(len(self.sources)), ask)
        sums: list[FactorSums] = [parts[n] for n in range(len(self.sources))]
        return sum(sums[1:], sums[0])

    def _parts(self, method: str, v: Tensor) -> list[Tensor]:
        """What a method of every shard makes of `v`, in shard order."""
        wide = v.to(torch.promote_types(v.dtype, torch.float32))
        reference = put(wide.cpu().numpy())  # once, not once for each actor

        def ask(actor: ActorHandle, share: list[int]) -> Any:
            return actor.partials.remote(self._some(share), method, reference)

        num_asked = len(set(self.crew.home.values()))
        parts = self.crew.do(range(len(self.sources)), ask)
        arrays = [parts[number] for number in range(len(self.sources))]
        self.bytes_moved += num_asked * wide.nbytes + sum(a.nbytes for a in arrays)
        return [as_tensor(array, v.device) for array in arrays]

    def _ask_weights(self, actor: ActorHandle, share: list[int]) -> Any:
        return actor.weights.remote(self._some(share))

    def _some(self, share: list[int]) -> dict[int, Source]:
        return {number: self.sources[number] for number in share}

"""The actor that drives the solver loop, so that no training worker has to.

Its state is its arguments: started again it repeats the solve it was killed in. Its
Hessian equals `influence.sharded.ShardedHessian` of the same shards to the last byte:
the same sums, added in the same order.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ray
import torch
from jaxtyping import Float
from ray.actor import ActorHandle
from torch import Tensor

from infaug.config import InfluenceConfig
from infaug.distributed.pool_actor import Source, as_tensor, own_device, put
from infaug.distributed.pool_group import Growth, PoolShape, WorkerGroup
from infaug.influence.kronecker import FactorSums
from infaug.influence.lissa import BATCH_SIZE, NUM_REPEATS, combine
from infaug.influence.operator import Damped, Solution
from infaug.influence.recursion import Plan, Recursion, plan_repeats, recursion
from infaug.influence.sharded import ShardedHessian, in_order
from infaug.influence.solve import solve
from infaug.randomness import SeedKey
from infaug.training.overlap import Solved
from infaug.training.snapshot import GradientSum, mean_of_sums


@dataclass(frozen=True)
class Task:
    """(H + damping I) S = gradient, the parts of it named and not held."""

    sources: Sequence[Source]
    """The shards of H, in order."""
    gradient: tuple[Callable[..., GradientSum], Sequence[tuple[Any, ...]]]
    """A function of the package, and its arguments for each shard of the gradient."""
    config: InfluenceConfig
    start: Tensor
    seed: tuple[SeedKey, ...]
    """For solvers that draw random numbers."""


class Coordinator:
    """Solves one task after another with the pool's actors.

    They are found by name: handles would not outlive a restart.
    """

    def __init__(self, names: Sequence[str], shape: PoolShape, pool: str):
        self.actors = [ray.get_actor(name) for name in names]
        self.growth = Growth(shape, pool)
        self.group = WorkerGroup(self.actors)

    @ray.method(concurrency_group="health")
    def ping(self) -> bool:
        """Whether the coordinator is alive; answered while it solves."""
        return True

    @ray.method(concurrency_group="health")
    def pid(self) -> int:
        """The process, to find it in `top`, or to end it in a test."""
        return os.getpid()

    def size(self) -> int:
        """How many actors the last work was shared by."""
        return len(self.group.actors)

    def solve(self, task: Task) -> Solved:
        """S by the configured solver, its products by the actors."""
        began = time.perf_counter()
        torch.set_num_threads(1)
        gradient = mean_of_sums(self.apply(*task.gradient))
        self._rebalance(len(task.sources))
        hessian = PoolHessian(self.group, task.sources)
        problem = (hessian, gradient, task.config, task.start)
        if task.config.solver == "lissa":
            solution = self._lissa(*problem, task.seed)
        else:
            solution = solve(*problem, *task.seed)
        return Solved(solution, time.perf_counter() - began)

    def apply(
        self, function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]]
    ) -> list[Any]:
        """A pure function of the package for each job, by the actors, in order.

        Shards of a gradient, whole recursions and refits are such jobs.
        """
        self._rebalance(len(jobs))
        return self._apply(function, jobs)

    def products(
        self, sources: Sequence[Source], v: Tensor, num: int
    ) -> tuple[Tensor, float, int]:
        """The undamped Hessian times `v`, `num` times over.

        Returns:
            The product, the seconds and the bytes moved for each.
        """
        self._rebalance(len(sources))
        hessian = PoolHessian(self.group, sources)
        result, began = hessian @ v, time.perf_counter()
        before = hessian.bytes_moved
        for _ in range(num):
            result = hessian @ v
        seconds = time.perf_counter() - began
        return result, seconds / num, (hessian.bytes_moved - before) // num

    def _rebalance(self, num_parts: int) -> None:
        self.group.actors = [*self.actors, *self.growth.follow(num_parts)]
        self.group.rebalance(num_parts)

    def _apply(
        self, function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]]
    ) -> list[Any]:
        def ask(actor: ActorHandle, share: list[int]) -> Any:
            return actor.apply.remote(function, {n: jobs[n] for n in share})

        done = self.group.do(range(len(jobs)), ask)
        return [done[number] for number in range(len(jobs))]

    def _lissa(
        self,
        hessian: "PoolHessian",
        gradient: Tensor,
        config: InfluenceConfig,
        start: Tensor,
        seed: tuple[SeedKey, ...],
    ) -> Solution:
        """What `influence.lissa` returns; every repeat is done by some actor.

        Recursions have the seeds and shards of the local twin, so the mean has its
        bytes. Every actor that does one holds all shards.
        """
        given = (hessian.sources, gradient, config, start, seed)
        jobs = [(*given, number) for number in range(NUM_REPEATS)]
        found = self._apply(lissa_repeat, jobs)
        repeats, plan = [repeat for repeat, _ in found], found[0][1]
        operator = Damped(hessian, config.damping)
        return combine(operator, gradient, repeats, plan, rtol=config.rtol)


def lissa_repeat(
    sources: Sequence[Source],
    gradient: Tensor,
    config: InfluenceConfig,
    start: Tensor,
    seed: tuple[SeedKey, ...],
    number: int,
) -> tuple[Recursion, Plan]:
    """One recursion; each repeat makes the plan anew, from the same minibatches."""
    b, x0 = (x.to(own_device(), torch.float32) for x in (gradient, start))
    hessian = ShardedHessian([source.load(own_device()) for source in sources])
    operator = Damped(hessian, config.damping)
    plan = plan_repeats(
        operator, b, seed=seed, rtol=config.rtol, max_products=config.max_products,
        batch_size=BATCH_SIZE, num_repeats=NUM_REPEATS,
    )  # fmt: skip
    return recursion(operator, b, seed=(*seed, number), x0=x0, plan=plan), plan


class PoolHessian:
    """H V = sum over shards, in shard order, over the number of samples."""

    def __init__(self, group: WorkerGroup, sources: Sequence[Source]):
        self.group, self.sources = group, list(sources)
        self.bytes_moved = 0

        def ask(actor: ActorHandle, share: list[int]) -> Any:
            return actor.num_samples.remote(self._some(share))

        self.num_samples = sum(group.do(range(len(sources)), ask).values())

    def __matmul__(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """H V for every array of `v`."""
        return self.product_sum(v) / self.num_samples

    def product_sum(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """The sum itself."""
        return in_order(self._products("product_sum", v))

    def rough_sum(self, v: Float[Tensor, "*R Y D1"]) -> Float[Tensor, "*R Y D1"]:
        """The same in bfloat16."""
        return in_order(self._products("rough_sum", v))

    def factor_sums(self) -> FactorSums:
        """Sums over some samples of every shard, for a preconditioner."""
        sums: list[FactorSums] = self._parts("factor_sums")
        return sum(sums[1:], sums[0])

    def _products(self, method: str, v: Tensor) -> list[Tensor]:
        """What a method of every shard makes of `v`, in shard order."""
        wide = v.to(torch.promote_types(v.dtype, torch.float32))
        # The array travels once to each actor, not once for each shard.
        arrays = self._parts(method, put(wide.cpu().numpy()))
        num_actors = len(set(self.group.home.values()))
        self.bytes_moved += num_actors * wide.nbytes + sum(a.nbytes for a in arrays)
        return [as_tensor(array, v.device) for array in arrays]

    def _parts(self, method: str, *arguments: Any) -> list[Any]:
        """What a method of every shard returns, in shard order."""

        def ask(actor: ActorHandle, share: list[int]) -> Any:
            return actor.partials.remote(self._some(share), method, *arguments)

        parts = self.group.do(range(len(self.sources)), ask)
        return [parts[number] for number in range(len(self.sources))]

    def _some(self, share: list[int]) -> dict[int, Source]:
        return {number: self.sources[number] for number in share}

"""The actor that drives the solver loop, so that no training worker has to.

Its state is its arguments: started again it repeats the solve it was killed in.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray.actor import ActorHandle
from torch import Tensor

from infaug.config import InfluenceConfig
from infaug.distributed.pool_actor import Source
from infaug.distributed.pool_crew import Crew
from infaug.distributed.pool_growth import Growth, PoolShape
from infaug.distributed.pool_hessian import PoolHessian
from infaug.distributed.pool_lissa import lissa_in_pool
from infaug.influence.solve import solve
from infaug.randomness import Purpose
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
    seed: tuple[Purpose, ...]
    """For solvers that draw random numbers."""


class Coordinator:
    """Solves one task after another with the pool's actors.

    Args:
        names: of the reserved actors; handles would not outlive a restart.
        shape: how many more there may be.
        pool: name of the pool.
    """

    def __init__(self, names: Sequence[str], shape: PoolShape, pool: str):
        self.actors = [ray.get_actor(name) for name in names]
        self.growth = Growth(shape, pool)
        self.crew = Crew(self.actors)

    @ray.method(concurrency_group="health")
    def ping(self) -> bool:
        """Whether the coordinator is there; answered while it solves."""
        return True

    @ray.method(concurrency_group="health")
    def pid(self) -> int:
        """The process, to find it in `top`, or to end it in a test."""
        return os.getpid()

    def size(self) -> int:
        """How many actors the last work was shared by."""
        return len(self.crew.actors)

    def solve(self, task: Task) -> Solved:
        """S by the configured solver, its products by the actors."""
        began = time.perf_counter()
        torch.set_num_threads(1)
        gradient = mean_of_sums(self.apply(*task.gradient))
        self._muster(len(task.sources))
        hessian = PoolHessian(self.crew, task.sources)
        given = (hessian, gradient, task.config, task.start)
        if task.config.solver == "lissa":
            solution = lissa_in_pool(*given, task.seed, self._apply)
        else:
            solution = solve(*given, *task.seed)
        return Solved(solution, time.perf_counter() - began)

    def apply(
        self, function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]]
    ) -> list[Any]:
        """A pure function of the package for each job, by the actors, in order.

        Whole recursions (a repeat of LiSSA with its own seed) and refits are such jobs.
        """
        self._muster(len(jobs))
        return self._apply(function, dict(enumerate(jobs)))

    def products(
        self, sources: Sequence[Source], v: Tensor, num: int
    ) -> tuple[Tensor, float, int]:
        """The undamped Hessian times `v`, `num` times over.

        Returns:
            The product, the seconds and the bytes moved for each.
        """
        self._muster(len(sources))
        hessian = PoolHessian(self.crew, sources)
        result, began = hessian @ v, time.perf_counter()
        before = hessian.bytes_moved
        for _ in range(num):
            result = hessian @ v
        seconds = time.perf_counter() - began
        return result, seconds / num, (hessian.bytes_moved - before) // num

    def _muster(self, num_parts: int) -> None:
        self.crew.actors = [*self.actors, *self.growth.follow(num_parts)]
        self.crew.muster(num_parts)

    def _apply(
        self, function: Callable[..., Any], jobs: dict[int, tuple[Any, ...]]
    ) -> list[Any]:
        def ask(actor: ActorHandle, share: list[int]) -> Any:
            return actor.apply.remote(function, {n: jobs[n] for n in share})

        done = self.crew.do(range(len(jobs)), ask)
        return [done[number] for number in range(len(jobs))]

"""LiSSA by the pool: every repeat is a whole recursion on some actor.

Recursions have the seeds they have in `influence.lissa`, and the shards of the local
twin; so the mean has the bytes of the local solution, whoever did which repeat. Every
actor that does one holds all shards.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from infaug.config import InfluenceConfig
from infaug.distributed.pool_actor import Source, own_device
from infaug.distributed.pool_hessian import PoolHessian
from infaug.influence.damped import Damped
from infaug.influence.lissa import BATCH_SIZE, NUM_REPEATS, combine
from infaug.influence.recursion import Plan, Recursion, plan_repeats, recursion
from infaug.influence.sharded import ShardedHessian
from infaug.influence.solution import Solution
from infaug.randomness import Purpose

Apply = Callable[[Callable[..., Any], dict[int, tuple[Any, ...]]], list[Any]]


def lissa_in_pool(
    hessian: PoolHessian,
    gradient: Tensor,
    config: InfluenceConfig,
    start: Tensor,
    seed: tuple[Purpose, ...],
    apply: Apply,
) -> Solution:
    """What `lissa` returns, its repeats done side by side by `apply`."""
    jobs = {
        number: (hessian.sources, gradient, config, start, seed, number)
        for number in range(NUM_REPEATS)
    }
    found = apply(one_repeat, jobs)
    repeats, plan = [repeat for repeat, _ in found], found[0][1]
    operator = Damped(hessian, config.damping)
    return combine(operator, gradient, repeats, plan, rtol=config.rtol)


def one_repeat(
    sources: Sequence[Source],
    gradient: Tensor,
    config: InfluenceConfig,
    start: Tensor,
    seed: tuple[Purpose, ...],
    number: int,
) -> tuple[Recursion, Plan]:
    """One recursion; each repeat makes the plan anew, from the same minibatches."""
    b, x0 = (x.to(own_device(), torch.float32) for x in (gradient, start))
    hessian = ShardedHessian([source.load(own_device()) for source in sources])
    operator = Damped(hessian, config.damping)
    plan = plan_repeats(
        operator,
        b,
        seed=seed,
        rtol=config.rtol,
        max_products=config.max_products,
        batch_size=BATCH_SIZE,
        num_repeats=NUM_REPEATS,
    )
    return recursion(operator, b, seed=(*seed, number), x0=x0, plan=plan), plan

"""LiSSA by the pool: every repeat is a whole recursion on some actor.

Recursions have the seeds they have in `influence.lissa`, and the shards of the local
twin; so the mean has the bytes of the local solution, whoever did which repeat. Every
actor that does one holds all shards.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from infaug.config import InfluenceConfig
from infaug.distributed.pool_actor import Source, own_device
from infaug.distributed.pool_hessian import PoolHessian
from infaug.influence.damped import Damped
from infaug.influence.lissa import Recursion, combine, depth, find_scale, recursion
from infaug.influence.sharded import ShardedHessian
from infaug.influence.solution import Solution
from infaug.randomness import Purpose

BATCH_SIZE, NUM_REPEATS = 256, 2  # the defaults of `influence.lissa`

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
    _, wanted, share = found[0]
    return combine(
        Damped(hessian, config.damping),
        gradient,
        [repeat for repeat, _, _ in found],
        rtol=config.rtol,
        wanted=wanted,
        share=share,
    )


def one_repeat(
    sources: Sequence[Source],
    gradient: Tensor,
    config: InfluenceConfig,
    start: Tensor,
    seed: tuple[Purpose, ...],
    number: int,
) -> tuple[Recursion, int, float]:
    """One recursion, the steps that damping asks for, and a step's share of a product.

    The scale is found anew by each repeat, from the same minibatches.
    """
    b, x0 = (x.to(own_device(), torch.float32) for x in (gradient, start))
    hessian = ShardedHessian([source.load(own_device()) for source in sources])
    operator = Damped(hessian, config.damping)
    batch_size = min(BATCH_SIZE, hessian.num_samples)
    scale = find_scale(operator, b, seed=seed, batch_size=batch_size)
    wanted = depth(scale, config.damping, config.rtol)
    share = batch_size / hessian.num_samples
    affordable = max(1, math.floor((config.max_products - 1) / (share * NUM_REPEATS)))
    found = recursion(
        operator,
        b,
        seed=(*seed, number),
        x0=x0,
        batch_size=batch_size,
        num_steps=min(wanted, affordable),
        scale=scale,
    )
    return found, wanted, share

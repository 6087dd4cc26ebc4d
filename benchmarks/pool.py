"""What does the solver pool gain, what does it cost, and where does it stop paying?

Sizes are those of benchmarks/s_val.py: b has N = 20,000, D = 512, Y = 100, c has N =
10,000, D = 2,048, Y = 1,000. Two actors are timed against one, and two processes
without Ray against one, each on one thread, runs interleaved; so is the gradient of
L_val over 4,000 images. Then: are the bytes those of the local twin, how far are other
partitions, how many bytes does a product move, and a model of a refresh against actors,
fitted to these measurements, at ImageNet's size on CPUs and GPUs. The model is an
extrapolation; it says what it is made of.

    python benchmarks/pool.py            # a table
    python benchmarks/pool.py --json     # one line
"""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import ray
import torch
import tyro
from paired import ratio, share_of_gain, take_turns
from pool_gradient import measure_gradient
from pool_model import Sample, Size, fit_model, refreshes, scaling
from pool_processes import TimedProducts, hessian_processes
from torch import Tensor

from infaug.config import InfluenceConfig
from infaug.distributed.local import connect
from infaug.distributed.pool import InPool, SolverPool, feature_sources
from infaug.distributed.pool_coordinator import Task
from infaug.distributed.pool_group import PoolShape
from infaug.influence.hessian import LastLayerHessian
from infaug.influence.sharded import ShardedHessian
from infaug.influence.solve import solve
from infaug.randomness import generator

WAIT_S = 600.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is timed."""

    sizes: tuple[str, ...] = ("b", "c")
    """Of b, c and tiny (which is for trying this file out)."""
    repeats: int = 7
    """Interleaved pairs; medians are reported, of ratios with their 95 % interval."""
    products: int = 4
    """Products in each timing."""
    images: int = 4000
    """Of the gradient."""
    shards: int = 2
    """Of the training set; the actors share them."""
    json: bool = False
    """Print one JSON line and nothing else."""


SIZES = {
    "b": Size(20_000, 512, 100),
    "c": Size(10_000, 2048, 1000),
    "tiny": Size(4_000, 64, 10),
}


def problem(size: Size) -> tuple[Tensor, Tensor, Tensor]:
    """h1, p and a right-hand side: features and a head drawn at random."""
    rng = generator("benchmark of the pool")
    h1 = torch.randn(size.N, size.D + 1, generator=rng).relu_()
    h1[:, -1] = 1
    head = torch.randn(size.Y, size.D + 1, generator=rng) / math.sqrt(size.D)
    b = torch.randn(size.Y, size.D + 1, generator=rng)
    return h1, (2 * h1 @ head.T).softmax(1), b - b.mean(0)


def local_twin(h1: Tensor, probs: Tensor, num_shards: int) -> ShardedHessian:
    """The same shards in this process, in memory aligned as the actors' is."""
    bounds = [shard * len(h1) // num_shards for shard in range(num_shards + 1)]
    return ShardedHessian(
        [
            LastLayerHessian(h1[low:high].clone(), probs[low:high].clone())
            for low, high in pairwise(bounds)
        ]
    )


def time_products(pool: SolverPool, sources: Sequence[Any], v: Tensor, num: int):
    """Seconds per product, the bytes it moved, and the product."""
    ask = pool.coordinator.products.remote
    result, seconds, num_bytes = ray.get(ask(sources, v, num), timeout=WAIT_S)
    return seconds, num_bytes, result


def measure(name: str, pools: dict[int, SolverPool], args: Settings) -> dict[str, Any]:
    """One size: times of one and two actors, and how products agree."""
    size = SIZES[name]
    h1, probs, v = problem(size)
    sources = feature_sources(f"{name}", h1, probs, args.shards)
    whole = LastLayerHessian(h1, probs) @ v
    num_bytes, product = {}, {}

    def seconds(count: int) -> float:
        found = time_products(pools[count], sources, v, args.products)
        num_bytes[count], product[count] = found[1], found[2]
        return found[0]

    def alone(products: TimedProducts) -> float:
        return products(v, args.products)[0]

    for pool in pools.values():
        time_products(pool, sources, v, 1)  # Warm up: features are fetched.
    with hessian_processes(h1, probs, 1) as one, hessian_processes(h1, probs, 2) as two:
        assert all(torch.allclose(ask(v, 1)[1], whole, rtol=1e-3) for ask in (one, two))
        ways = {f"actors {n}": partial(seconds, n) for n in pools}
        ways |= {"processes 1": partial(alone, one), "processes 2": partial(alone, two)}
        turns = take_turns(ways, args.repeats)
    times = {count: turns[f"actors {count}"] for count in pools}
    expected = local_twin(h1, probs, args.shards) @ v
    middle, low, high = ratio(times[1], times[2])
    return {
        "size": name,
        "one_s": float(np.median(times[1])),
        "two_s": float(np.median(times[2])),
        "ratio": middle,
        "ratio_low": low,
        "ratio_high": high,
        "processes": ratio(turns["processes 1"], turns["processes 2"]),
        "share_of_gain": share_of_gain(turns),
        "bytes_per_product": num_bytes,
        "same_bytes_as_local": all(p.equal(expected) for p in product.values()),
        "other_shards_error": float((product[1] - whole).norm() / whole.norm()),
        "work": size.work,
        "head_bytes": size.head_bytes,
        "times": times,
    }


def solutions_agree(pool: SolverPool) -> float:
    """Relative difference of float64 solutions at rtol 1e-10 of two partitions."""
    size = Size(4000, 64, 10)
    h1, probs, b = (x.double() for x in problem(size))
    config = InfluenceConfig(damping=1e-3, rtol=1e-10, max_products=2000)

    def solved(num_shards: int) -> Tensor:
        sources = feature_sources(f"float64 {num_shards}", h1, probs, num_shards)
        given = tuple, [((b, torch.ones(())),)]
        task = Task(sources, given, config, torch.zeros_like(b), ())
        ask = pool.coordinator.solve.remote
        return (
            InPool(pool.coordinator, lambda: ask(task), lambda: None)
            .result()
            .solution.value
        )

    here = solve(local_twin(h1, probs, 1), b, config, torch.zeros_like(b)).value
    return max(float((solved(n) - here).norm() / here.norm()) for n in (2, 3, 5))


def overheads(pools: dict[int, SolverPool], args: Settings) -> list[Sample]:
    """Products that are nearly all latency, and nearly all traffic."""
    samples = []
    for size in (Size(100, 8, 4), Size(4, 2048, 1000)):
        h1, probs, v = problem(size)
        sources = feature_sources(f"overhead {size}", h1, probs, args.shards)
        for count, pool in pools.items():
            time_products(pool, sources, v, 1)
            times = [time_products(pool, sources, v, 5) for _ in range(args.repeats)]
            seconds = float(np.median([found[0] for found in times]))
            samples.append(Sample(count, size.work, times[0][1], seconds))
    return samples


def run(args: Settings) -> dict[str, Any]:
    """Everything, in one record."""
    torch.set_num_threads(1)
    connect(3)  # one pool of one actor, one of two
    try:
        pools = {n: SolverPool(PoolShape(min=n, max=n)) for n in (1, 2)}
        rows = [measure(name, pools, args) for name in args.sizes]
        gradient = measure_gradient(pools, args.images, args.shards, args.repeats)
        samples = overheads(pools, args)
        agree = solutions_agree(pools[2])
    finally:
        ray.shutdown()
    samples += [
        Sample(n, r["work"], r["bytes_per_product"][n], float(np.median(r["times"][n])))
        for r in rows
        for n in (1, 2)
    ]
    model = fit_model(samples)
    return {
        "rows": rows,
        "gradient": gradient,
        "float64_solutions_difference": agree,
        "samples": [asdict(sample) for sample in samples],
        "model": model,
        "imagenet": scaling(model),
        "refreshes": refreshes(model),
    }


def main(args: Settings) -> None:
    """Measure and print."""
    began = time.perf_counter()
    found = run(args)
    if args.json:
        print(json.dumps({"settings": asdict(args), **found}))
        return
    print(
        "size  1 actor   2 actors  ratio (95 %)          of processes  MB moved  "
        "bytes  other shards"
    )
    for row in found["rows"]:
        print(
            f"{row['size']:<5} {row['one_s']:7.3f} s {row['two_s']:7.3f} s  "
            f"{row['ratio']:.2f} ({row['ratio_low']:.2f} to {row['ratio_high']:.2f})"
            f"   {row['share_of_gain']:12.2f}  "
            f"{row['bytes_per_product'][2] / 1e6:8.1f}  "
            f"{'same' if row['same_bytes_as_local'] else 'DIFFER'}   "
            f"{row['other_shards_error']:.0e}"
        )
    gradient = found["gradient"]
    spent = ", ".join(f"{who} {s:.2f} s" for who, s in gradient["seconds"].items())
    print(
        f"gradient of {gradient['images']} images: {spent}; two actors gain "
        f"{gradient['share_of_gain']:.2f} of what two processes do, "
        f"{gradient['stored_mb']:.1f} MB stored, "
        f"bytes {'same' if gradient['same_bytes'] else 'DIFFER'}"
    )
    difference = found["float64_solutions_difference"]
    print(f"float64 solutions of other partitions differ by {difference:.0e}")
    print("model:", ", ".join(f"{k} {v:.2e}" for k, v in found["model"].items()))
    far = found["imagenet"]
    print("ImageNet's size, seconds a product by actors (extrapolated):")
    print(
        "  " + "  ".join(f"{n}: {s:.2f}" for n, s in far["seconds_by_actors"].items())
    )
    print(
        "a refresh there, gradient and 30 products, seconds by actors (extrapolated):"
    )
    for kind, seconds in found["refreshes"].items():
        print(f"  {kind}  " + "  ".join(f"{n}: {s:.0f}" for n, s in seconds.items()))
    print(
        f"  doubling gains 1.25x or more up to {far['doubling_pays_until']} actors, "
        f"the fastest is {far['best']}; {time.perf_counter() - began:.0f} s measured"
    )


if __name__ == "__main__":
    main(tyro.cli(Settings))

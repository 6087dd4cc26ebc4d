"""grad L_val of many images by one and two actors, and by one and two processes.

The processes know nothing of Ray: what two of them gain over one is what this machine
has to give, and what two actors gain is measured against it.
"""

import pickle
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import ray
import torch
from paired import ratio, share_of_gain, take_turns, timed

from infaug.classify.network import build_classifier
from infaug.data.dataset import Labelled
from infaug.distributed.pool import SolverPool
from infaug.distributed.pool_actor import gradient_of
from infaug.randomness import generator
from infaug.training.snapshot import (
    GradientSum,
    Snapshot,
    rows_of_chunks,
    shard_gradient,
    shards_of,
)

WAIT_S = 600.0


def images_of(count: int, classes: int = 10) -> Labelled:
    """Noise of MNIST's size with labels drawn at random."""
    rng = generator("benchmark of the gradient")
    x = torch.randint(0, 256, (count, 1, 28, 28), generator=rng, dtype=torch.uint8)
    y = torch.randint(0, classes, (count,), generator=rng)
    return Labelled(x, y, tuple(map(str, range(classes))))


def snapshot_of(images: Labelled) -> Snapshot:
    """MNIST's network, untrained."""
    network = build_classifier("allconv", 1, images.num_classes, "benchmark")
    weight = network.eval().head.weight
    start = torch.zeros(weight.shape[0], weight.shape[1] + 1)
    return Snapshot(
        classifier=network, augments=(), seed_key=("benchmark",), start=start
    )


def in_process(snapshot: Snapshot, images: Labelled, chunks: range) -> GradientSum:
    """One shard's sums, on one thread."""
    torch.set_num_threads(1)
    return shard_gradient(snapshot, images, chunks)


def measure_gradient(
    pools: dict[int, SolverPool], count: int, num_shards: int, repeats: int
) -> dict[str, Any]:
    """Seconds with one and two actors and processes, and bytes in the object store."""
    images = images_of(count)
    snapshot = snapshot_of(images)
    parts = [
        (images.select(torch.arange(count)[rows_of_chunks(chunks)]), chunks)
        for chunks in shards_of(count, num_shards)
    ]
    ready = ray.put(snapshot)
    jobs = [(ready, ray.put(part), chunks) for part, chunks in parts]

    def by_actors(pool: SolverPool) -> list[GradientSum]:
        ask = pool.coordinator.apply.remote(gradient_of, jobs)
        return ray.get(ask, timeout=WAIT_S)

    def by_processes(pool: ProcessPoolExecutor) -> list[GradientSum]:
        done = [pool.submit(in_process, snapshot, part, c) for part, c in parts]
        return [each.result() for each in done]

    here = [in_process(snapshot, part, chunks) for part, chunks in parts]
    spawn = get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as one, ProcessPoolExecutor(2, spawn) as two:
        ways = {
            **{f"actors {n}": partial(by_actors, pool) for n, pool in pools.items()},
            "processes 1": partial(by_processes, one),
            "processes 2": partial(by_processes, two),
        }
        found = {name: way() for name, way in ways.items()}  # Warm up.
        times = take_turns({name: timed(way) for name, way in ways.items()}, repeats)
    return {
        "images": count,
        "seconds": {name: float(np.median(each)) for name, each in times.items()},
        "gain": {
            who: ratio(times[f"{who} 1"], times[f"{who} 2"])
            for who in ("actors", "processes")
        },
        "share_of_gain": share_of_gain(times),
        "same_bytes": all(_are_equal(sums, here) for sums in found.values()),
        "stored_mb": sum(len(pickle.dumps(x)) for x in (snapshot, parts)) / 1e6,
    }


def _are_equal(one: Sequence[GradientSum], other: Sequence[GradientSum]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(a.equal(b) and u.equal(v) for (a, u), (b, v) in pairs)

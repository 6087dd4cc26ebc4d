"""H V by processes that know nothing of Ray, each with its part of the samples.

What two of them gain over one is what this machine has to give.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection

import numpy as np
import torch
from torch import Tensor

from infaug.influence.hessian import LastLayerHessian

TimedProducts = Callable[[Tensor, int], tuple[float, Tensor]]


@contextmanager
def hessian_processes(h1: Tensor, probs: Tensor, count: int) -> Iterator[TimedProducts]:
    """A function of V and a number: seconds a product by `count` processes, and H V."""
    spawn = get_context("spawn")
    pipes, processes = [], []
    for part in zip(h1.chunk(count), probs.chunk(count), strict=True):
        here, there = spawn.Pipe()
        arrays = [each.numpy() for each in part]
        processes.append(spawn.Process(target=_serve, args=(there, *arrays)))
        processes[-1].start()
        pipes.append(here)

    def products(v: Tensor, num: int) -> tuple[float, Tensor]:
        began, total = time.perf_counter(), v
        for _ in range(num):
            for pipe in pipes:
                pipe.send(v.numpy())
            first, *others = [torch.from_numpy(pipe.recv()) for pipe in pipes]
            total = sum(others, first)
        return (time.perf_counter() - began) / num, total / len(h1)

    try:
        yield products
    finally:
        for pipe in pipes:
            pipe.send(None)
        for process in processes:
            process.join()


def _serve(pipe: Connection, h1: np.ndarray, probs: np.ndarray) -> None:
    torch.set_num_threads(1)
    shard = LastLayerHessian(torch.from_numpy(h1), torch.from_numpy(probs))
    while (v := pipe.recv()) is not None:
        pipe.send(shard.product_sum(torch.from_numpy(v)).numpy())

"""Does a step hide what processes send each other behind its backward pass?

    python benchmarks/overlap.py

Layers that sleep stand for computation, and an all-reduce that sleeps in proportion to
its bytes, before gloo's own, for a slow network: so the machine's other work hardly
matters. The best that can be had is a forward pass, the longer of backward pass and
communication, and the last bucket, which waits for the first layer's gradients.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn
from torch.optim import SGD

from infaug import gradients
from infaug.descent import Guard, take_step
from infaug.world import World

LAYERS, VALUES = 16, 16 * 1024
BUCKET_BYTES = 2 * 4 * VALUES  # two layers
FORWARD, BACKWARD = 0.2, 0.4  # seconds
SHARES = (0.5, 1.0, 2.0)  # of the backward pass, spent on communication
WORKERS = (2, 4)
STEPS = 5


class Sleep(torch.autograd.Function):
    """A layer's time: x + the sum of its weights, forward and backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        """As long as one layer of the forward pass."""
        time.sleep(FORWARD / LAYERS)
        ctx.size = weight.numel()
        return x + weight.sum()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        """As long as one of the backward pass."""
        time.sleep(BACKWARD / LAYERS)
        return grads[0], grads[0].expand(ctx.size)


class SlowNetwork:
    """All-reduces of this process, one after another, each sleeping by its bytes."""

    def __init__(self, seconds_a_byte: float):
        self.seconds_a_byte = seconds_a_byte
        self.real, self.thread = dist.all_reduce, ThreadPoolExecutor(1)
        self.took: list[float] = []

    def all_reduce(self, flat: Tensor, *, async_op: bool) -> "Sending":
        """Begin one."""
        assert async_op
        return Sending(self.thread.submit(self._send, flat))

    def _send(self, flat: Tensor) -> None:
        began = time.perf_counter()
        time.sleep(self.seconds_a_byte * flat.nbytes)
        self.took.append(time.perf_counter() - began)
        self.real(flat)


class Sending:
    """What `torch.distributed` returns for an all-reduce under way."""

    def __init__(self, future: Future[None]):
        self.wait = future.result


@dataclass(frozen=True, kw_only=True)
class Step:
    """Seconds of one step."""

    forward: float
    rest: float
    sent: float
    """All messages together."""
    last: float
    """The last one."""


def worker(rank: int, size: int, place: Path) -> None:
    """Time steps at every speed of the network; the first process writes them down."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{place}/meet", rank=rank, world_size=size
    )
    rows = []
    for share in SHARES:
        network = SlowNetwork(share * BACKWARD / (4 * VALUES * LAYERS))
        with (
            mock.patch.object(dist, "all_reduce", network.all_reduce),
            mock.patch.object(gradients, "BUCKET_BYTES", BUCKET_BYTES),
        ):
            alone, joined = steps(World(), network), steps(World.joined(), network)
            rows.append(row(size, share, list(zip(alone, joined, strict=True))[1:]))
    if rank == 0:
        print(*map(json.dumps, rows), sep="\n")
    dist.destroy_process_group()


def steps(world: World, network: SlowNetwork) -> Iterator[Step]:
    """Steps of one network, of one process or of all."""
    layers = nn.ParameterList(torch.zeros(VALUES) for _ in range(LAYERS))
    optimizer, guard = SGD(layers, 0.1), Guard()
    for _ in range(STEPS + 1):
        network.took = [0.0]
        began = time.perf_counter()
        x = torch.zeros((), requires_grad=True)
        for layer in layers:
            x = Sleep.apply(x, layer)
        forward = time.perf_counter() - began
        take_step([x], optimizer, world, guard, name="f")
        rest = time.perf_counter() - began - forward
        yield Step(
            forward=forward, rest=rest, sent=sum(network.took),
            last=network.took[-1],
        )  # fmt: skip


def row(size: int, share: float, pairs: list[tuple[Step, Step]]) -> dict[str, float]:
    """Steps of all processes against the best there can be, by their own parts.

    What a backward pass takes is that of a step of one process, taken just before.
    """
    best = [s.forward + max(alone.rest, s.sent) + s.last for alone, s in pairs]
    in_turn = [s.forward + alone.rest + s.sent for alone, s in pairs]
    seconds = [s.forward + s.rest for _, s in pairs]
    over = [a / b for a, b in zip(seconds, best, strict=True)]
    names = {"step_s": seconds, "best_s": best, "in_turn_s": in_turn, "over_best": over}
    medians = {name: round(statistics.median(x), 3) for name, x in names.items()}
    return {"workers": size, "communication_over_backward": share, **medians}


def main() -> None:
    """Print one JSON object a row."""
    for size in WORKERS:
        with tempfile.TemporaryDirectory() as scratch:
            spawn(worker, (size, Path(scratch)), nprocs=size)


if __name__ == "__main__":
    main()

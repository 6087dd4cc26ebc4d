"""The processes of a world as threads of this one: what they exchange is real."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import BrokenBarrierError
from typing import Any, TypeVar

import torch
from torch import Tensor

from infaug.world import World

T = TypeVar("T")
PATIENCE_S = 240  # of a machine that others use


class Meeting:
    """Where each leaves something and takes what all have left, in rank order."""

    def __init__(self, size: int):
        self.barrier, self.left = threading.Barrier(size), [None] * size

    def exchange(self, rank: int, value: Any) -> list[Any]:
        self.left[rank] = value
        self.barrier.wait(PATIENCE_S)
        taken = list(self.left)
        self.barrier.wait(PATIENCE_S)
        return taken


@dataclass(frozen=True, kw_only=True)
class Peer(World):
    """One of them."""

    meeting: Meeting = field(compare=False)

    def sum_(self, tensors: Sequence[Tensor]) -> None:
        sent = [tensor.detach().clone() for tensor in tensors]
        received = self.meeting.exchange(self.rank, sent)
        for tensor, parts in zip(tensors, zip(*received, strict=True), strict=True):
            tensor.detach().copy_(sum(parts))

    def gather(self, part: Tensor) -> Tensor:
        return torch.cat(self.meeting.exchange(self.rank, part))

    def first(self, act: Callable[[], T]) -> T:
        return self.each(act if self.is_first else lambda: None, number=0)

    def each(self, act: Callable[[], T], number: int | None = None) -> T:
        try:
            done, error = act(), None
        except ValueError as raised:
            done, error = None, str(raised)
        met = self.meeting.exchange(self.rank, (done, error))
        for _, found in met:
            if found is not None:
                raise ValueError(found)
        return met[self.rank if number is None else number][0]


def together(size: int, act: Callable[[World], T]) -> list[T]:
    """What each of so many processes makes of `act`; the first error is raised."""
    meeting = Meeting(size)

    def one(rank: int) -> T:
        try:
            return act(Peer(rank=rank, size=size, meeting=meeting))
        except BaseException:
            meeting.barrier.abort()  # The others would wait for it.
            raise

    with ThreadPoolExecutor(size) as pool:
        running = [pool.submit(one, rank) for rank in range(size)]
    errors = filter(None, [each.exception() for each in running])
    for error in sorted(errors, key=lambda e: isinstance(e, BrokenBarrierError)):
        raise error
    return [each.result() for each in running]

"""The processes that train together, as the numerical code sees them.

One process is a world of one; the same code runs in both. Sums, not means, cross
process borders: whoever asks divides once by a global count.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from infaug.timer import Timer

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """This process among its peers. The default is a single process.

    With `size` > 1 the default `torch.distributed` process group must be initialised.
    """

    rank: int = 0
    size: int = 1
    timer: Timer = field(default_factory=Timer, compare=False, repr=False)
    """What this process's time goes to; `peers` is what it waits here for others."""

    @classmethod
    def joined(cls) -> "World":
        """The world of the process group this process has joined, or a world of one."""
        if not dist.is_initialized():
            return cls()
        return cls(rank=dist.get_rank(), size=dist.get_world_size())

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and prints for the others."""
        return self.rank == 0

    def share(self, num_parts: int) -> range:
        """The contiguous parts, of `num_parts` equal ones, that belong here.

        Shares differ by one part at most: nodes come and go in any number.

        Raises:
            ValueError: if there are fewer parts than processes.

        >>> [World(rank=rank, size=3).share(4) for rank in range(3)]
        [range(0, 1), range(1, 2), range(2, 4)]
        """
        if num_parts < self.size:
            raise ValueError(
                f"{num_parts} batch groups are too few for {self.size} workers: lower "
                "--workers, or raise --classifier.batch-groups"
            )
        first = self.rank * num_parts // self.size
        return range(first, (self.rank + 1) * num_parts // self.size)

    def rows(self, num: int, unit: int = 1) -> range:
        """The contiguous rows of `num` that belong here, in whole units of rows.

        The last unit may be short. Where units are few, the last processes have none.

        >>> [World(rank=rank, size=3).rows(10, 4) for rank in range(3)]
        [range(0, 4), range(4, 8), range(8, 10)]
        """
        units = -(-num // unit)
        first, stop = (
            min(-(-rank * units // self.size) * unit, num)
            for rank in (self.rank, self.rank + 1)
        )
        return range(first, stop)

    def sum_(self, tensors: Sequence[Tensor]) -> None:
        """Replace every tensor by its sum over processes, in place, in one message."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([t.detach().flatten() for t in tensors])
        with self.timer.time("peers"):
            dist.all_reduce(flat)
        for tensor, total in zip(
            tensors, flat.split([t.numel() for t in tensors]), strict=True
        ):
            tensor.detach().copy_(total.view_as(tensor))

    def gather(self, part: Tensor) -> Tensor:
        """Rows of all processes, concatenated in rank order: the same on every rank."""
        if self.size == 1:
            return part
        own = torch.tensor([len(part)], device=part.device)
        counts = [torch.empty_like(own) for _ in range(self.size)]
        with self.timer.time("peers"):
            dist.all_gather(counts, own)
        longest = int(max(counts))
        padded = part.new_zeros(longest, *part.shape[1:])
        padded[: len(part)] = part
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        with self.timer.time("peers"):
            dist.all_gather(parts, padded)
        rows = [p[: int(c)] for p, c in zip(parts, counts, strict=True)]
        return torch.cat(rows)

    def first(self, act: Callable[[], T]) -> T:
        """Let the first process act; every process returns what that returned.

        Raises:
            ValueError: on every process, if the first one's act raised it: otherwise
                the others would wait for ever.
        """
        if self.size == 1:
            return act()
        box: list[Any] = [None, None]
        if self.is_first:
            try:
                box[0] = act()
            except ValueError as error:
                box[1] = str(error)
        with self.timer.time("peers"):
            dist.broadcast_object_list(box, src=0)
        if box[1] is not None:
            raise ValueError(box[1])
        return box[0]

    def each(self, act: Callable[[], T]) -> T:
        """Let every process act on what is its own, and return what it returned.

        Raises:
            ValueError: on every process, if one's act raised it: otherwise the others
                would wait for it for ever.
        """
        if self.size == 1:
            return act()
        done, errors = list[T](), [""] * self.size
        try:
            done, error = [act()], ""
        except ValueError as raised:
            error = str(raised)
        with self.timer.time("peers"):
            dist.all_gather_object(errors, error)
        for found in filter(None, errors):
            raise ValueError(found)
        return done[0]

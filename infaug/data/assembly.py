"""Batches put together in the background, and copied to a GPU beside what it does."""

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

import torch
from torch import Tensor

from infaug.data.loader import Chunk


class Slot:
    """Room for one batch, used again and again; pinned where there is a GPU.

    Images that are decoded there are put together there.
    """

    def __init__(
        self, groups: range, group_size: int, shape: tuple[int, ...],
        device: torch.device, images_on: torch.device,
    ):  # fmt: skip
        num, pinned = len(groups) * group_size, device.type == "cuda"
        self.images = torch.empty(
            num, *shape, dtype=torch.uint8, device=images_on,
            pin_memory=pinned and images_on.type == "cpu",
        )  # fmt: skip
        self.labels = torch.empty(num, dtype=torch.int64, pin_memory=pinned)
        self.groups, self.group_size, self.device = groups, group_size, device
        self.stream = torch.cuda.Stream(device) if pinned else None
        self.copied = torch.cuda.Event() if pinned else None

    def copy(self) -> tuple[Tensor, Tensor]:
        """The batch on its device: itself on a CPU; on a GPU once `copied` is there."""
        if self.stream is None or self.copied is None:
            return self.images, self.labels
        with torch.cuda.stream(self.stream):
            images = self.images.to(self.device, non_blocking=True)
            labels = self.labels.to(self.device, non_blocking=True)
            self.copied.record(self.stream)
        return images, labels

    def arrive(self, batch: tuple[Tensor, Tensor]) -> None:
        """Let what this thread queues from now on see what `copy` returned."""
        if self.copied is not None:
            current = torch.cuda.current_stream(self.device)
            current.wait_event(self.copied)
            for tensor in batch:
                tensor.record_stream(current)


class Assembly:
    """Batches of consecutive steps, each put together while the last one is used."""

    def __init__(self, chunks: Generator[Chunk], slots: Sequence[Slot]):
        self._chunks, self._slots = chunks, deque(slots)
        self._waiting = {shard: deque[Chunk]() for shard in slots[0].groups}
        self._thread = ThreadPoolExecutor(1, "assemble")
        self._ahead: Future[tuple[Tensor, Tensor]] | None = None

    def next(self, *, is_last: bool = False) -> tuple[Tensor, Tensor]:
        """Images and labels, good until the next batch is asked for."""
        ahead = self._ahead or self._begin()
        batch, slot = ahead.result(), self._slots[0]
        self._slots.rotate(-1)
        slot.arrive(batch)
        if is_last:
            self.close()
        else:
            self._ahead = self._begin()
        return batch

    def close(self) -> None:
        """Read no more."""
        if self._ahead is not None:
            wait([self._ahead])
        self._thread.shutdown()
        self._chunks.close()

    def _begin(self) -> Future[tuple[Tensor, Tensor]]:
        return self._thread.submit(self._assemble, self._slots[0])

    def _assemble(self, slot: Slot) -> tuple[Tensor, Tensor]:
        if slot.copied is not None:
            slot.copied.synchronize()  # The slot's last batch has left it.
        for number, shard in enumerate(slot.groups):
            part = slice(number * slot.group_size, (number + 1) * slot.group_size)
            self._take(shard, slot.images[part], slot.labels[part])
        return slot.copy()

    def _take(self, shard: int, images: Tensor, labels: Tensor) -> None:
        """Fill these with the next images of a shard and their labels."""
        waiting, done = self._waiting, 0
        while done < len(labels):
            while not waiting[shard]:
                chunk = next(self._chunks)
                waiting[chunk.shard].append(chunk)
            chunk = waiting[shard].popleft()
            num = min(len(chunk.labels), len(labels) - done)
            images[done : done + num] = chunk.images[:num]
            labels[done : done + num] = chunk.labels[:num]
            if num < len(chunk.labels):
                rest = Chunk(shard, chunk.images[num:], chunk.labels[num:])
                waiting[shard].appendleft(rest)
            done += num

"""Training batches of a set that is streamed, with the interface of `Batches`.

There is a shard for each group of the batch. In every epoch the row groups are dealt
out to the shards in a new order; neighbours in a shard fill a buffer, whose images are
shuffled. So files are read in large parts, images mix, and what a shard holds at a step
is a function of the seed, whoever reads it.
"""

import heapq
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from itertools import count, takewhile

import torch
import torch.nn.functional as F
from jaxtyping import Int64
from torch import Tensor

from infaug.data.assembly import Assembly, Slot
from infaug.data.batches import Batch, Batches
from infaug.data.crops import Crop
from infaug.data.dataset import to_float
from infaug.data.loader import Chunk, ShuffleBuffer
from infaug.data.on_disk import ImageSet, OnDisk
from infaug.randomness import RandomNumbers, SeedKey, generator

BUFFER_SIZE = 1024  # images that are shuffled together, or a few more


def buffers(
    by_group: Sequence[Int64[Tensor, "_"]],
    num_shards: int,
    shards: range,
    first: int,
    *key: SeedKey,
    size: int = BUFFER_SIZE,
) -> Iterator[ShuffleBuffer]:
    """The buffers of some shards without end, in the order in which they are needed.

    Args:
        by_group: for every row group the positions of its images that are trained on.
        num_shards: all shards.
        shards: those that are wanted.
        first: images of each shard that are passed over.
        key: seed key of the order.
        size: images of a buffer, or a few more.
    """
    filled = [number for number, positions in enumerate(by_group) if len(positions)]
    if len(filled) < num_shards:
        raise ValueError(
            f"the training images lie in {len(filled)} row groups, too few for "
            f"classifier.batch_groups {num_shards}: lower it, or write the set with "
            "smaller row groups (`infaug data prepare`)"
        )

    def of_shard(shard: int) -> Iterator[ShuffleBuffer]:
        start = 0
        for epoch in count():
            order = _shuffled(len(filled), *key, "row groups", epoch)
            dealt = [filled[at] for at in order[shard::num_shards].tolist()]
            for number, groups in enumerate(_together(dealt, by_group, size)):
                # Only what is wanted is shuffled: resuming late costs little.
                stop = start + sum(len(by_group[group]) for group in groups)
                if stop > first:
                    own = (*key, "window", shard, epoch, number)
                    positions = torch.cat([by_group[group] for group in groups])
                    yield ShuffleBuffer(
                        shard=shard, key=own, start=start, groups=groups,
                        positions=positions[_shuffled(len(positions), *own)],
                        skip=max(first - start, 0),
                    )  # fmt: skip
                start = stop

    return heapq.merge(
        *map(of_shard, shards), key=lambda each: (each.start, each.shard)
    )


def _shuffled(num: int, *key: SeedKey) -> Int64[Tensor, "num"]:
    return torch.randperm(num, generator=generator(*key))


def _together(
    dealt: Sequence[int], by_group: Sequence[Tensor], size: int
) -> Iterator[tuple[int, ...]]:
    """Neighbours with `size` images, or a few more; the last ones may have fewer."""
    groups: list[int] = []
    for group in dealt:
        groups.append(group)
        if sum(len(by_group[each]) for each in groups) >= size:
            yield tuple(groups)
            groups = []
    if groups:
        yield tuple(groups)


class Stream:
    """This worker's part of each global batch, decoded and put together ahead of need.

    A group's images are those of its shard, in order. A step that does not follow the
    last one is read by itself, and what goes on goes on where it stood; where the next
    step follows, as when a run resumes, the stream begins anew from there.
    """

    def __init__(
        self,
        images: OnDisk,
        batch_size: int,
        num_groups: int,
        world_groups: range,
        device: torch.device | str,
        crops: tuple[Crop, ...],
        *key: SeedKey,
    ):
        assert batch_size % num_groups == 0, "the config refuses another"
        self.images, self.crops, self.device = images, crops, torch.device(device)
        self.group_size = batch_size // num_groups
        self.num_groups, self.world_groups = num_groups, world_groups
        self.key = key
        self._by_group = images.positions_by_group()
        self.reader = images.reader
        if images.on_device:
            if self.device.type != "cuda":
                raise ValueError(
                    "data.decode device needs a GPU, and PyTorch finds none: use "
                    "--data.decode cpu"
                )
            self.reader = replace(images.reader, device=self.device)
        self._ahead = Assembly(self._chunks(0), self._slots(2))
        self._next, self._last = 0, -1

    def at(self, step: int) -> Batch:
        """Crops in [0, 1], one-hot labels, numbers of a step: b rows, held here."""
        if step not in (self._next, self._last + 1):
            alone = Assembly(self._chunks(step, step + 1), self._slots(1))
            images, labels = alone.next(is_last=True)
        else:
            if step != self._next:
                self._ahead.close()
                self._ahead = Assembly(self._chunks(step), self._slots(2))
            self._next = step + 1
            images, labels = self._ahead.next()
        self._last = step
        y = F.one_hot(labels, self.images.num_classes).float()
        rng = RandomNumbers(
            *self.key, "draws", step,
            groups=self.world_groups, group_size=self.group_size, device=self.device,
        )  # fmt: skip
        return Batch(to_float(images), y, rng)

    def _chunks(self, first: int, stop: int | None = None) -> Generator[Chunk]:
        """Of the steps from `first` on, or up to `stop`."""
        begin, shards = first * self.group_size, self.world_groups
        ahead = buffers(self._by_group, self.num_groups, shards, begin, *self.key)
        if stop is not None:
            ahead = _until(stop * self.group_size, ahead)
        return self.images.loader(self.reader, ahead, self.crops)

    def _slots(self, num: int) -> list[Slot]:
        shape = (len(self.crops), *self.images.image_shape)
        return [
            Slot(
                self.world_groups, self.group_size, shape, self.device,
                images_on=self.reader.device or torch.device("cpu"),
            )
            for _ in range(num)
        ]  # fmt: skip


def _until(stop: int, ahead: Iterator[ShuffleBuffer]) -> Iterator[ShuffleBuffer]:
    """Of each shard the images before its `stop`-th."""
    for buffer in takewhile(lambda each: each.start < stop, ahead):
        yield replace(buffer, end=min(stop - buffer.start, len(buffer.positions)))


def batches_of(
    images: ImageSet,
    batch_size: int,
    num_groups: int,
    world_groups: range,
    device: torch.device | str,
    crops: tuple[Crop, ...],
    *key: SeedKey,
) -> Batches | Stream:
    """Batches of a set, in memory or streamed.

    In memory every view begins from the whole image, whatever `crops` says.
    """
    shares = (batch_size, num_groups, world_groups, device)
    if isinstance(images, OnDisk):
        return Stream(images, *shares, crops, *key)
    return Batches(images, *shares, len(crops), *key)

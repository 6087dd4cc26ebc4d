"""Images of a Parquet set by position: read, decoded, cropped, ahead of need.

All of it is a function of its arguments, so that any process can do any part of it.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from heapq import heappop, heappush

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from infaug.cores import usable_cores
from infaug.data.crops import (
    NUMBERS,
    Crop,
    crop_on_device,
    decode_on_device,
    random_crop,
)
from infaug.data.decode import Encoded, centre, channels_first, open_image
from infaug.data.parquet import RowGroup, read_items
from infaug.randomness import SeedKey, generator

IMAGES_PER_CHUNK = 32
CHUNKS_AHEAD = 4  # in memory for each thread
READS_AT_ONCE = 4
READ_AHEAD = 512  # images of a shard


@dataclass(frozen=True, eq=False, kw_only=True)
class ShuffleBuffer:
    """Neighbouring images of a shard, in the order in which they are trained on."""

    shard: int
    """The group of the batch that they are for."""
    key: tuple[SeedKey, ...]
    """Seed key of its random numbers."""
    start: int
    """Images of the shard before it, over all epochs."""
    groups: tuple[int, ...]
    """The row groups it is read from."""
    positions: Int64[Tensor, "n"]
    """Of its images in the set."""
    skip: int = 0
    """Images at its front that are not wanted: a resumed run has seen them."""
    end: int | None = None
    """Where what is wanted ends; None: with the buffer."""


@dataclass(frozen=True, eq=False)
class Chunk:
    """Decoded images of one shard, next to each other in its order."""

    shard: int
    images: UInt8[Tensor, "n K C H W"]
    labels: Int64[Tensor, "n"]


@dataclass(frozen=True, eq=False)
class EncodedChunk:
    """The same before decoding, with the random numbers of the crops."""

    shard: int
    items: Sequence[Encoded]
    numbers: Float[Tensor, "n K 5"]


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Where the images lie, and how they are decoded."""

    groups: tuple[RowGroup, ...]
    size: int
    """Height and width of every crop, pixels."""
    mode: str
    """L or RGB."""
    pixel_bits: int | None = None
    centre_crop: float = 1.0
    class_names: tuple[str, ...] | None = None
    """None if labels are bare numbers."""
    renumbered: Mapping[int, int] = field(default_factory=dict)
    """What classes are called where only some of them are wanted, by their numbers."""
    device: torch.device | None = None
    """Where JPEG is decoded; None: all is decoded by Pillow, on the CPU."""

    def items(self, positions: Sequence[int], groups: Sequence[int]) -> list[Encoded]:
        """The images at some positions, all of them in these row groups, in order."""
        wanted: dict[int, set[int]] = defaultdict(set)
        for position in positions:
            number = next(g for g in groups if position in self.groups[g].positions)
            wanted[number].add(position)
        found: dict[int, Encoded] = {}
        for number, rows in wanted.items():
            found.update(read_items(self.groups[number], self.class_names, rows))
        return [found[position] for position in positions]

    def read(self, buffer: ShuffleBuffer, num_crops: int) -> list[EncodedChunk]:
        """The images of a buffer that are wanted, in chunks."""
        wanted = slice(buffer.skip, buffer.end)
        items = self.items(buffer.positions[wanted].tolist(), buffer.groups)
        shape = (len(buffer.positions), num_crops, NUMBERS)
        numbers = torch.rand(shape, generator=generator(*buffer.key))[wanted]
        n = IMAGES_PER_CHUNK
        parts = [slice(at, at + n) for at in range(0, len(items), n)]
        return [EncodedChunk(buffer.shard, items[p], numbers[p]) for p in parts]

    def decode(self, encoded: EncodedChunk, crops: tuple[Crop, ...]) -> Chunk:
        """The crops of a chunk."""
        if self.device is None:
            images = [
                self.crops_of(item, crops, numbers)
                for item, numbers in zip(encoded.items, encoded.numbers, strict=True)
            ]
        else:
            images = self._on_device(encoded, crops, self.device)
        of_file = [item.label for item in encoded.items]
        labels = torch.tensor([self.renumbered.get(each, each) for each in of_file])
        return Chunk(encoded.shard, torch.stack(images), labels)

    def _on_device(
        self, encoded: EncodedChunk, crops: tuple[Crop, ...], device: torch.device
    ) -> list[UInt8[Tensor, "K C size size"]]:
        whole = decode_on_device(encoded.items, self.mode, self.pixel_bits, device)
        rows = encoded.numbers.tolist()
        return [
            torch.stack([
                crop_on_device(image, self.size, crop, numbers, self.centre_crop)
                for crop, numbers in zip(crops, of_image, strict=True)
            ])
            for image, of_image in zip(whole, rows, strict=True)
        ]  # fmt: skip

    def crops_of(
        self, item: Encoded, crops: tuple[Crop, ...], numbers: Float[Tensor, "K 5"]
    ) -> UInt8[Tensor, "K C size size"]:
        """The crops of one image, bilinear with antialiasing."""
        try:
            image = open_image(item, self.mode, self.pixel_bits)
        except ValueError as error:
            raise ValueError(
                f"{error}: `infaug data prepare` writes a set without unreadable images"
            ) from error
        square = (self.size, self.size)
        cut = [
            random_crop(image, self.size, row)
            if crop == "random"
            else centre(image, square, self.centre_crop)
            for crop, row in zip(crops, numbers.tolist(), strict=True)
        ]
        return torch.from_numpy(np.stack([channels_first(each) for each in cut]))


# Decodes buffers ahead of need, gives the chunks of each shard in order; to be closed.
Loader = Callable[[Reader, Iterable[ShuffleBuffer], tuple[Crop, ...]], Generator[Chunk]]


def load_in_threads(
    reader: Reader,
    buffers: Iterable[ShuffleBuffer],
    crops: tuple[Crop, ...],
    num: int | None = None,
) -> Generator[Chunk]:
    """A `Loader` in threads of this process: decoding leaves Python's lock alone.

    `num` threads; by default as many as there are CPUs for this process.
    """
    num = num or usable_cores()
    ahead: deque[Future[Chunk]] = deque()
    with (
        ThreadPoolExecutor(READS_AT_ONCE, "read") as disk,
        ThreadPoolExecutor(num, "decode") as pool,
    ):
        try:
            for encoded in _by_need(disk, reader, buffers, len(crops)):
                ahead.append(pool.submit(reader.decode, encoded, crops))
                if len(ahead) >= CHUNKS_AHEAD * num:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()


def _by_need(
    disk: ThreadPoolExecutor,
    reader: Reader,
    buffers: Iterable[ShuffleBuffer],
    num_crops: int,
) -> Iterator[EncodedChunk]:
    """Chunks of all shards in turn, by how many images of their shard come before them.

    A buffer is read `READ_AHEAD` images before its shard comes to it.
    """
    buffers = iter(buffers)
    upcoming = next(buffers, None)
    reading: deque[tuple[int, int, Future[list[EncodedChunk]]]] = deque()
    read: list[tuple[int, int, EncodedChunk]] = []
    here = 0
    while upcoming or reading or read:
        idle = not reading and not read
        while upcoming and (idle or upcoming.start <= here + READ_AHEAD):
            future = disk.submit(reader.read, upcoming, num_crops)
            begin = upcoming.start + upcoming.skip
            reading.append((begin, upcoming.shard, future))
            upcoming, idle = next(buffers, None), False
        while reading and (not read or reading[0][:2] <= read[0][:2]):
            begin, shard, future = reading.popleft()
            for chunk in future.result():
                heappush(read, (begin, shard, chunk))
                begin += len(chunk.items)
        here, _, chunk = heappop(read)
        yield chunk

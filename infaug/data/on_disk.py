"""A labelled set that does not fit into memory: it stays encoded, in Parquet."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import NamedTuple

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from infaug.config import DataConfig
from infaug.data.dataset import Labelled
from infaug.data.decode import UnreadableError, open_image
from infaug.data.loader import Loader, Reader, ShuffleBuffer
from infaug.data.parquet import (
    num_rows,
    parquet_class_names,
    parquet_items,
    read_labels,
    row_groups,
)
from infaug.storage import Location
from infaug.world import World

SELECTED = ("selected",)  # `select` draws no random numbers, but a key is needed


class Held(NamedTuple):
    """What one process of a world keeps decoded of the images that they share."""

    world: World
    rows: range
    """Which ones."""
    images: Labelled


@dataclass(frozen=True, eq=False, kw_only=True)
class OnDisk:
    """Some images of a Parquet set, with their labels in memory.

    Has what `Labelled` has but `images`: a `Stream` trains on them, `select` decodes a
    few, and `share.local_part` has those that this process works on.
    """

    reader: Reader
    loader: Loader
    labels: Int64[Tensor, "N"]
    class_names: tuple[str, ...]
    positions: Int64[Tensor, "N"]
    """Of these images in the set, ascending."""
    on_device: bool = False
    """Whether a stream decodes JPEG on the GPU that it is for."""
    held: Held | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        """Y, the number of class names."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return 3 if self.reader.mode == "RGB" else 1, self.reader.size, self.reader.size

    def __add__(self, other: "OnDisk") -> "OnDisk":
        """Both, in order of position; they have no image in common."""
        positions = torch.cat([self.positions, other.positions])
        order = positions.argsort()
        labels = torch.cat([self.labels, other.labels])[order]
        return replace(self, labels=labels, positions=positions[order], held=None)

    @property
    def checksum(self) -> str:
        """A hash of where these images lie in their files, and of their labels."""
        total = blake2b(digest_size=16)
        for group in self.reader.groups:
            total.update(f"{group.file.name} {group.number} {group.size}".encode())
        for tensor in (self.positions, self.labels):
            total.update(tensor.contiguous().numpy().data)
        return total.hexdigest()

    def to(self, device: torch.device | str) -> "OnDisk":
        """Itself: images go to a device once they are decoded."""
        del device
        return self

    def part(self, indices: Int64[Tensor, "n"]) -> "OnDisk":
        """The images at `indices`, which ascend, still encoded."""
        labels, positions = self.labels[indices], self.positions[indices]
        return replace(self, labels=labels, positions=positions, held=None)

    def of_classes(self, chosen: Sequence[int]) -> "OnDisk":
        """The images of some classes, ascending, numbered in this order."""
        wanted = torch.tensor(chosen)
        part = self.part(torch.isin(self.labels, wanted).nonzero()[:, 0])
        numbers = {old: new for new, old in enumerate(chosen)}
        return replace(
            part,
            reader=replace(self.reader, renumbered=numbers),
            labels=torch.searchsorted(wanted, part.labels),
            class_names=tuple(self.class_names[each] for each in chosen),
        )

    def select(self, indices: Int64[Tensor, "n"]) -> Labelled:
        """The images at `indices`, in that order, decoded: centre squares."""
        indices = indices.cpu()
        order = self.positions[indices].argsort()
        (images,) = decode_together([self.part(indices[order])])
        return Labelled(images[order.argsort()], self.labels[indices], self.class_names)

    def select_all(self) -> Labelled:
        """All images, decoded: there must be room for them."""
        return self.select(torch.arange(len(self)))

    def positions_by_group(self) -> list[Int64[Tensor, "_"]]:
        """The positions of these images in every row group."""
        first = torch.tensor([group.first for group in self.reader.groups])
        stop = [group.positions.stop for group in self.reader.groups]
        begins = torch.searchsorted(self.positions, first)
        ends = torch.searchsorted(self.positions, torch.tensor(stop))
        return [self.positions[a:b] for a, b in zip(begins, ends, strict=True)]


ImageSet = Labelled | OnDisk
"""Labelled images, in memory or on disk."""


def decode_together(parts: Sequence[OnDisk]) -> list[UInt8[Tensor, "_ C H W"]]:
    """The centre squares of parts of one set, each in order of position.

    A row group that several parts need is read once.
    """
    first = parts[0]
    wanted = torch.cat([part.positions for part in parts]).unique()
    # Where the images of each part lie among all of them.
    places = [torch.searchsorted(wanted, part.positions) for part in parts]
    found = [
        torch.empty(len(part), *part.image_shape, dtype=torch.uint8) for part in parts
    ]
    whole, done = replace(first, positions=wanted, labels=wanted, held=None), 0
    for chunk in first.loader(first.reader, _buffers(whole), ("centre",)):
        bounds = torch.tensor([done, done + len(chunk.images)])
        for images, place in zip(found, places, strict=True):
            begin, end = torch.searchsorted(place, bounds).tolist()
            images[begin:end] = chunk.images[place[begin:end] - done, 0]
        done += len(chunk.images)
    return found


def _buffers(part: OnDisk) -> Iterator[ShuffleBuffer]:
    """One for each row group that holds some of the images."""
    start = 0
    for number, positions in enumerate(part.positions_by_group()):
        if len(positions):
            yield ShuffleBuffer(
                shard=0, key=SELECTED, start=start, groups=(number,),
                positions=positions,
            )  # fmt: skip
        start += len(positions)


def must_stream(files: Sequence[Location], config: DataConfig) -> bool:
    """Whether the images of these files would take too much memory, decoded."""
    rows, size = num_rows(files), config.image_size
    height, width = (size, size) if size else _size_of_first(files[0], config)
    channels = 1 if config.mode == "L" else 3
    gib = rows * channels * height * width / 2**30
    if gib <= config.stream_above_gib:
        return False
    if size is None:
        raise ValueError(
            f"{files[0].parent}: {rows} images take {gib:.1f} GiB decoded, more than "
            f"--data.stream-above-gib {config.stream_above_gib:g}, so they are "
            "streamed: say to which size with --data.image-size 224"
        )
    return True


def open_on_disk(
    files: Sequence[Location],
    config: DataConfig,
    class_names: tuple[str, ...] | None,
    loader: Loader,
) -> OnDisk:
    """All images of these files; without names, classes are called by their numbers."""
    assert config.image_size is not None, "`must_stream` asks for it"
    groups = row_groups(files, config)
    labels = read_labels(groups, class_names)
    reader = Reader(
        groups=groups, size=config.image_size,
        mode="RGB" if config.mode == "auto" else config.mode,
        pixel_bits=config.pixel_bits, centre_crop=config.centre_crop,
        class_names=class_names,
    )  # fmt: skip
    return OnDisk(
        reader=reader, loader=loader, labels=labels,
        class_names=class_names or tuple(map(str, labels.unique().tolist())),
        positions=torch.arange(len(labels)), on_device=config.decode == "device",
    )  # fmt: skip


def _size_of_first(file: Location, config: DataConfig) -> tuple[int, int]:
    """Height and width of a file's first image; none if it cannot be read.

    Whoever reads it then reports that.
    """
    items = parquet_items([file], config, parquet_class_names([file], config))
    try:
        image = open_image(next(items), "auto")
    except (StopIteration, UnreadableError):
        return 0, 0
    return image.height, image.width

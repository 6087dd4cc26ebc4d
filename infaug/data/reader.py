"""Images of a Parquet set by position: read, decoded, cropped, ahead of need.

All of it is a function of its arguments, so that any process can do any part of it.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from PIL import Image, ImageOps
from torch import Tensor

from infaug.config import DataConfig
from infaug.cores import usable_cores
from infaug.data.decode import Encoded, channels_first, open_image
from infaug.data.lanes import Window
from infaug.data.shards import RowGroup, read_rows
from infaug.randomness import Purpose, generator

PIECE = 32  # images that are decoded together
AREA = (0.08, 1.0)
LOG_ASPECT = 0.2877  # log(4/3)
NUMBERS = 5  # a random crop takes: area, aspect, two of place, mirror

Crop = Literal["centre", "random"]


def crop_numbers(num: int, num_crops: int, *purpose: Purpose) -> Float[Tensor, "n K 5"]:
    """Uniform random numbers in [0, 1) for the crops of n images."""
    return torch.rand(num, num_crops, NUMBERS, generator=generator(*purpose))


def crops_of(
    item: Encoded,
    crops: tuple[Crop, ...],
    numbers: Float[Tensor, "K 5"],
    size: int,
    mode: str,
    pixel_bits: int | None = None,
) -> UInt8[Tensor, "K C size size"]:
    """The crops of one image, bilinear with antialiasing.

    Raises:
        ValueError: if the image cannot be read.
    """
    try:
        image = open_image(item, mode, pixel_bits)
    except ValueError as error:
        raise ValueError(
            f"{error}: `infaug data prepare` writes a set without unreadable images"
        ) from error
    cut = [
        _random(image, size, *row) if crop == "random" else _centre(image, size)
        for crop, row in zip(crops, numbers.tolist(), strict=True)
    ]
    return torch.from_numpy(np.stack([channels_first(each) for each in cut]))


def _centre(image: Image.Image, size: int) -> Image.Image:
    return ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)


def _random(
    image: Image.Image,
    size: int,
    area: float,
    aspect: float,
    left: float,
    top: float,
    mirror: float,
) -> Image.Image:
    width, height = image.size
    pixels = (AREA[0] + (AREA[1] - AREA[0]) * area) * width * height
    ratio = float(np.exp(LOG_ASPECT * (2 * aspect - 1)))
    crop_width = min((pixels * ratio) ** 0.5, width)
    crop_height = min((pixels / ratio) ** 0.5, height)
    x, y = left * (width - crop_width), top * (height - crop_height)
    box = (x, y, x + crop_width, y + crop_height)
    cut = image.resize((size, size), Image.Resampling.BILINEAR, box)
    return ImageOps.mirror(cut) if mirror < 0.5 else cut


@dataclass(frozen=True, eq=False)
class Piece:
    """Decoded images of one lane, next to each other in its order."""

    lane: int
    images: UInt8[Tensor, "n K C H W"]
    labels: Int64[Tensor, "n"]


@dataclass(frozen=True, eq=False)
class EncodedPiece:
    """The same before decoding, with the random numbers of the crops."""

    lane: int
    items: Sequence[Encoded]
    numbers: Float[Tensor, "n K 5"]


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Where the images lie, and how they are to look."""

    groups: tuple[RowGroup, ...]
    config: DataConfig
    size: int
    """Height and width of every crop, pixels."""
    mode: str
    """L or RGB."""
    class_names: tuple[str, ...] | None = None
    """None if labels are bare numbers."""

    def items(self, positions: Sequence[int], groups: Sequence[int]) -> list[Encoded]:
        """The images at some positions, all of them in these row groups, in order."""
        wanted: dict[int, list[int]] = defaultdict(list)
        for position in positions:
            number = next(g for g in groups if position in self.groups[g].positions)
            wanted[number].append(position)
        found: dict[int, Encoded] = {}
        for number, rows in wanted.items():
            items = read_rows(self.groups[number], rows, self.class_names)
            found.update(zip(rows, items, strict=True))
        return [found[position] for position in positions]

    def read(self, window: Window, num_crops: int) -> list[EncodedPiece]:
        """The images of a window that are wanted, in pieces."""
        positions = window.positions[window.skip :].tolist()
        items = self.items(positions, window.groups)
        numbers = crop_numbers(len(window.positions), num_crops, *window.purpose)
        numbers = numbers[window.skip :]
        parts = [slice(at, at + PIECE) for at in range(0, len(items), PIECE)]
        return [EncodedPiece(window.lane, items[p], numbers[p]) for p in parts]

    def decode(self, encoded: EncodedPiece, crops: tuple[Crop, ...]) -> Piece:
        """The crops of a piece.

        Raises:
            ValueError: for an image that cannot be read.
        """
        bits = self.config.pixel_bits
        images = [
            crops_of(item, crops, numbers, self.size, self.mode, bits)
            for item, numbers in zip(encoded.items, encoded.numbers, strict=True)
        ]
        labels = torch.tensor([item.label for item in encoded.items])
        return Piece(encoded.lane, torch.stack(images), labels)


AHEAD = 8  # pieces in memory for each thread


@runtime_checkable
class Feed(Protocol):
    """Decodes windows ahead of need, and gives their pieces in order."""

    def __call__(
        self, reader: Reader, windows: Iterable[Window], crops: tuple[Crop, ...]
    ) -> Iterator[Piece]:
        """Pieces without end, if `windows` has none; closed when no more is wanted."""
        ...


class Threads:
    """Threads of this process: decoding leaves Python's lock alone.

    Args:
        num: threads; by default as many as there are CPUs for this process.
    """

    def __init__(self, num: int | None = None):
        self.num = num or usable_cores()

    def __call__(
        self, reader: Reader, windows: Iterable[Window], crops: tuple[Crop, ...]
    ) -> Iterator[Piece]:
        """What `Feed` says."""
        ahead: deque[Future[Piece]] = deque()
        with ThreadPoolExecutor(self.num, "decode") as pool:
            try:
                for read in _one_ahead(pool, reader, windows, len(crops)):
                    for encoded in read:
                        ahead.append(pool.submit(reader.decode, encoded, crops))
                        if len(ahead) >= AHEAD * self.num:
                            yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()


def _one_ahead(
    pool: ThreadPoolExecutor, reader: Reader, windows: Iterable[Window], num_crops: int
) -> Iterator[list[EncodedPiece]]:
    """Windows as they are read from their files, the next one meanwhile."""
    reading: Future[list[EncodedPiece]] | None = None
    for window in windows:
        following = pool.submit(reader.read, window, num_crops)
        if reading is not None:
            yield reading.result()
        reading = following
    if reading is not None:
        yield reading.result()

"""Images of a Parquet set by position: read, decoded, cropped.

All of it is a function of its arguments, so that any process can do any part of it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from infaug.config import DataConfig
from infaug.data.crops import Crop, crop_numbers, crops_of
from infaug.data.decode import Encoded
from infaug.data.lanes import Window
from infaug.data.shards import RowGroup, read_rows

PIECE = 32  # images that are decoded together


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

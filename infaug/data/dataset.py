"""Labelled images, as every room receives them.

Images stay uint8 until a batch is gathered: a quarter of the memory of floats.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images with their class indices, and the names of the classes.

    `images` has values 0..255, channels first; `labels` lie in 0..Y-1, where Y is the
    number of class names. A class may be absent, for the set may be a selection.
    """

    images: UInt8[Tensor, "N C H W"]
    labels: Int64[Tensor, "N"]
    class_names: tuple[str, ...]

    def __post_init__(self):
        assert self.images.dtype == torch.uint8, self.images.dtype
        assert self.images.ndim == 4, self.images.shape
        assert self.labels.dtype == torch.int64, self.labels.dtype
        assert self.labels.shape == self.images.shape[:1], self.labels.shape
        outside = (self.labels < 0) | (self.labels >= self.num_classes)
        if outside.any():
            wrong = int(self.labels[outside][0])
            raise ValueError(
                f"label {wrong} names none of the {self.num_classes} classes: "
                f"labels must lie in 0..{self.num_classes - 1}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __add__(self, other: "Labelled") -> "Labelled":
        if self.class_names != other.class_names:
            raise ValueError(
                "only sets of the same classes can be pooled, "
                f"got {self.class_names} and {other.class_names}"
            )
        if self.images.shape[1:] != other.images.shape[1:]:
            raise ValueError(
                "only images of the same shape can be pooled, got "
                f"{tuple(self.images.shape[1:])} and {tuple(other.images.shape[1:])}"
            )
        return Labelled(
            torch.cat([self.images, other.images]),
            torch.cat([self.labels, other.labels]),
            self.class_names,
        )

    @property
    def num_classes(self) -> int:
        """Y, the number of class names."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @property
    def checksum(self) -> str:
        """A hash of pixels and labels."""
        total = blake2b(digest_size=16)
        for tensor in (self.images, self.labels):
            total.update(tensor.cpu().contiguous().numpy().data)
        return total.hexdigest()

    def select(self, indices: Int64[Tensor, "n"]) -> "Labelled":
        """The images at `indices`, in that order, with the same classes."""
        return Labelled(self.images[indices], self.labels[indices], self.class_names)

    def part(self, indices: Int64[Tensor, "n"]) -> "Labelled":
        """The same; of a set on disk a part is still encoded."""
        return self.select(indices)

    def of_classes(self, chosen: Sequence[int]) -> "Labelled":
        """The images of some classes, ascending, numbered in this order."""
        wanted = torch.tensor(chosen)
        part = self.select(torch.isin(self.labels, wanted).nonzero()[:, 0])
        labels = torch.searchsorted(wanted, part.labels)
        names = tuple(self.class_names[each] for each in chosen)
        return Labelled(part.images, labels, names)

    def select_all(self) -> "Labelled":
        """Itself; a set on disk is decoded."""
        return self

    def to(self, device: torch.device | str) -> "Labelled":
        """The same set on a device."""
        return Labelled(
            self.images.to(device), self.labels.to(device), self.class_names
        )


def to_float(images: UInt8[Tensor, "*B C H W"]) -> Float[Tensor, "*B C H W"]:
    """Images as float32 in [0, 1]: stored values divided by 255.

    >>> to_float(torch.full((1, 1, 1), 255, dtype=torch.uint8)).item()
    1.0
    """
    return images.float().div_(255)  # one new array, not two


Digests = list[bytes]
"""A hash of the pixels of each image."""


def digests_of(images: UInt8[Tensor, "N C H W"]) -> Digests:
    """The hash of each image's decoded pixels; labels and files make no difference."""
    pixels = images.cpu().contiguous().flatten(1).numpy()
    return [blake2b(row.data, digest_size=16).digest() for row in pixels]

"""Which images are the same, pixel by pixel."""

from hashlib import blake2b

from jaxtyping import UInt8
from torch import Tensor

Digests = list[bytes]
"""A hash of the pixels of each image."""


def digests_of(images: UInt8[Tensor, "N C H W"]) -> Digests:
    """The hash of each image's decoded pixels; labels and files make no difference."""
    pixels = images.cpu().contiguous().flatten(1).numpy()
    return [blake2b(row.data, digest_size=16).digest() for row in pixels]

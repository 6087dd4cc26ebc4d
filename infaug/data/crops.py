"""The crops of encoded images: by Pillow, or for JPEG on a GPU.

A GPU decodes and scales so much like Pillow that the eye sees no difference, but not to
the last bit.
"""

from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2.functional import resized_crop

from infaug.data.decode import (
    UNREADABLE,
    Encoded,
    changes_of,
    channels_first,
    content_of,
    open_image,
)

AREA = (0.08, 1.0)
LOG_ASPECT = 0.2877  # log(4/3)
NUMBERS = 5  # a random crop takes: area, aspect, left, top, mirror

Crop = Literal["centre", "random"]
Box = tuple[float, float, float, float]  # left, top, width, height in pixels


def random_box(width: int, height: int, numbers: Sequence[float]) -> Box:
    """A random part of an image, of aspect ratio up to 4/3."""
    area, aspect, left, top, _ = numbers
    pixels = (AREA[0] + (AREA[1] - AREA[0]) * area) * width * height
    ratio = float(np.exp(LOG_ASPECT * (2 * aspect - 1)))
    crop_width = min((pixels * ratio) ** 0.5, width)
    crop_height = min((pixels / ratio) ** 0.5, height)
    x, y = left * (width - crop_width), top * (height - crop_height)
    return x, y, crop_width, crop_height


def centre_box(width: int, height: int, share: float) -> Box:
    """The middle square, a share of the shorter side."""
    side = share * min(width, height)
    return (width - side) / 2, (height - side) / 2, side, side


def is_mirrored(numbers: Sequence[float]) -> bool:
    """Every second random crop is."""
    return numbers[-1] < 0.5


def random_crop(image: Image.Image, size: int, numbers: Sequence[float]) -> Image.Image:
    """The random part, scaled, mirrored every second time."""
    x, y, width, height = random_box(*image.size, numbers)
    box = (x, y, x + width, y + height)
    cut = image.resize((size, size), Image.Resampling.BILINEAR, box)
    return ImageOps.mirror(cut) if is_mirrored(numbers) else cut


def crop_on_device(
    image: UInt8[Tensor, "C H W"],
    size: int,
    crop: Crop,
    numbers: Sequence[float],
    share: float,
) -> UInt8[Tensor, "C size size"]:
    """The same where the image is, from whole pixels."""
    height, width = image.shape[1:]
    box = centre_box(width, height, share)
    if crop == "random":
        box = random_box(width, height, numbers)
    x, y, box_width, box_height = (round(value) for value in box)
    cut = resized_crop(
        image, y, x, max(box_height, 1), max(box_width, 1), [size, size],
        antialias=True,
    )  # fmt: skip
    return cut.flip(-1) if crop == "random" and is_mirrored(numbers) else cut


def decode_on_device(
    items: Sequence[Encoded], mode: str, pixel_bits: int | None, device: torch.device
) -> list[UInt8[Tensor, "C _ _"]]:
    """Images of any size on a device; what is no plain JPEG comes from Pillow.

    Raises:
        ValueError: for an image that cannot be read.
    """
    contents = [content_of(item) for item in items]
    plain = [n for n, content in enumerate(contents) if _is_plain_jpeg(content)]
    found: dict[int, Tensor] = {}
    if plain:
        encoded = [
            torch.frombuffer(bytearray(contents[n]), dtype=torch.uint8) for n in plain
        ]
        read_mode = ImageReadMode.GRAY if mode == "L" else ImageReadMode.RGB
        # Where one is damaged, Pillow says which, or can read it.
        with suppress(RuntimeError):
            images = decode_jpeg(encoded, read_mode, device)
            found = dict(zip(plain, images, strict=True))
    for n, item in enumerate(items):
        if n not in found:
            pixels = channels_first(open_image(item, mode, pixel_bits))
            found[n] = torch.from_numpy(pixels.copy()).to(device)
    return [found[n] for n in range(len(items))]


def _is_plain_jpeg(content: bytes) -> bool:
    """Whether it is grey or RGB and shown as it is stored; reads the header alone."""
    try:
        with Image.open(BytesIO(content)) as image:
            is_plain = image.format == "JPEG" and image.mode in ("L", "RGB")
            return is_plain and not changes_of(image)
    except UNREADABLE:
        return False

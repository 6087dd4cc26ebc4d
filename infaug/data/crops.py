"""One encoded image to the crops of it that are trained on, decoded once.

A random crop is a part of 8-100 % of the area with aspect 3/4 to 4/3, resized, and
mirrored with probability one half (Szegedy et al., 2015). One that does not fit is
clamped to the image, not drawn again: so every image takes the same random numbers.
"""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps
from torch import Tensor

from infaug.data.decode import Encoded, channels_first, open_image
from infaug.randomness import Purpose, generator

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

"""Common corruptions and shifts at five severities, for any images.

The kinds are those of Hendrycks and Dietterich (2019) that need no pictures of their
own (frost) and no library beyond torchvision, and the affine shifts this method is
about. Amounts are theirs for ImageNet where an image's size does not matter (noise,
pixelate, jpeg, contrast, brightness), else our choice. The numbers drawn for an image
are the same at all severities of a corruption.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from infaug.data.corruptions import blur, geometry, light, noise
from infaug.data.dataset import to_float
from infaug.randomness import Draws, Purpose

SEVERITIES = range(1, 6)
IMAGES_AT_ONCE = 256


@dataclass(frozen=True)
class Corruption:
    """A way to change images, and how much at each severity."""

    change: Callable[[Float[Tensor, "B C H W"], float, Draws], Float[Tensor, "B C H W"]]
    amounts: tuple[float, float, float, float, float]


CORRUPTIONS = {
    "gaussian_noise": Corruption(noise.gaussian_noise, (0.08, 0.12, 0.18, 0.26, 0.38)),
    "shot_noise": Corruption(noise.shot_noise, (60, 25, 12, 5, 3)),
    "impulse_noise": Corruption(noise.impulse_noise, (0.03, 0.06, 0.09, 0.17, 0.27)),
    "gaussian_blur": Corruption(blur.gaussian_blur, (0.75, 1.0, 1.5, 2.0, 3.0)),
    "motion_blur": Corruption(blur.motion_blur, (2, 3.5, 5, 7, 9)),
    "pixelate": Corruption(blur.pixelate, (0.6, 0.5, 0.4, 0.3, 0.25)),
    "jpeg": Corruption(blur.jpeg, (25, 18, 15, 10, 7)),
    "brightness": Corruption(light.brightness, (0.1, 0.2, 0.3, 0.4, 0.5)),
    "contrast": Corruption(light.contrast, (0.4, 0.3, 0.2, 0.1, 0.05)),
    "fog": Corruption(light.fog, (0.5, 0.75, 1.0, 1.5, 2.0)),
    "rotate": Corruption(geometry.rotate, (10, 20, 30, 45, 60)),
    "translate": Corruption(geometry.translate, (0.04, 0.08, 0.12, 0.16, 0.2)),
    "shear": Corruption(geometry.shear, (10, 15, 20, 30, 40)),
    "scale": Corruption(geometry.scale, (1.1, 1.2, 1.3, 1.45, 1.6)),
}


def corrupt(
    images: UInt8[Tensor, "N C H W"], name: str, severity: int, *purpose: Purpose
) -> UInt8[Tensor, "N C H W"]:
    """All images with one corruption; equal purposes give equal ones.

    Raises:
        ValueError: if there is no such corruption or severity.
    """
    if name not in CORRUPTIONS or severity not in SEVERITIES:
        raise ValueError(
            f"there is no corruption {name!r} of severity {severity}: choose among "
            f"{', '.join(CORRUPTIONS)}, and 1 to 5"
        )
    corruption = CORRUPTIONS[name]
    amount = corruption.amounts[severity - 1]
    parts = []
    for number, part in enumerate(images.split(IMAGES_AT_ONCE)):
        draws = Draws.of_size(len(part), *purpose, name, number)
        x = corruption.change(to_float(part), amount, draws)
        parts.append((255 * x).round().to(torch.uint8))
    return torch.cat(parts)

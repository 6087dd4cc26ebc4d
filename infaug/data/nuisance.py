"""Nuisances: every image changed at random, its class untouched.

The change of an image is drawn once, so a training image is seen in one state only;
drawing it again measures what F has learned to ignore.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from infaug.config import NuisanceConfig
from infaug.data.affine import resampled, rotation
from infaug.data.dataset import to_float
from infaug.randomness import Draws, Purpose

IMAGES_AT_ONCE = 256


def apply_nuisance(
    images: UInt8[Tensor, "N C H W"], nuisance: NuisanceConfig, *purpose: Purpose
) -> UInt8[Tensor, "N C H W"]:
    """Every image with a nuisance of its own; equal purposes draw equal ones.

    If there is none, the input itself is returned.
    """
    if nuisance.kind == "none" or len(images) == 0:
        return images
    change = {"rotation": rotated, "background": on_grey, "dilation": dilated}
    amounts = draw_amounts(nuisance, Draws.of_size(len(images), *purpose, "nuisance"))
    parts = [
        change[nuisance.kind](to_float(x), amount)
        for x, amount in zip(
            images.split(IMAGES_AT_ONCE), amounts.split(IMAGES_AT_ONCE), strict=True
        )
    ]
    return torch.cat([(255 * part).round().to(torch.uint8) for part in parts])


def draw_amounts(nuisance: NuisanceConfig, draws: Draws) -> Float[Tensor, "N"]:
    """How much each image is changed: degrees, grey, or pixels (negative erodes)."""
    if nuisance.kind == "rotation":
        return draws.uniform(-nuisance.rotate_deg, nuisance.rotate_deg)
    if nuisance.kind == "background":
        return draws.uniform(0, nuisance.background)
    return draws.uniform(-nuisance.erode_px, nuisance.dilate_px + 1).floor()


def rotated(
    x: Float[Tensor, "B C H W"], degrees: Float[Tensor, "B"]
) -> Float[Tensor, "B C H W"]:
    """Counter-clockwise about the centre; bilinear, black comes in from outside."""
    return resampled(x, rotation(degrees))


def on_grey(
    x: Float[Tensor, "B C H W"], grey: Float[Tensor, "B"]
) -> Float[Tensor, "B C H W"]:
    """The image over grey, x + (1 - x) grey: black becomes grey, white stays white."""
    return x + (1 - x) * grey[:, None, None, None]


def dilated(
    x: Float[Tensor, "B C H W"], pixels: Float[Tensor, "B"]
) -> Float[Tensor, "B C H W"]:
    """The maximum over squares of side 1 + pixels; of a negative number the minimum."""
    out = x.clone()
    for amount in pixels.unique().long().tolist():
        at = pixels == amount
        out[at] = _widest(x[at], amount) if amount > 0 else -_widest(-x[at], -amount)
    return out


def _widest(x: Tensor, pixels: int) -> Tensor:
    near, far = pixels // 2, (pixels + 1) // 2
    padded = F.pad(x, (near, far, near, far), mode="replicate")
    return F.max_pool2d(padded, 1 + pixels, stride=1)

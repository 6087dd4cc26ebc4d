"""Corruptions of brightness, contrast and clarity.

Images [B, C, H, W] in [0, 1]; results are cut off at 0 and 1.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from infaug.randomness import Draws

OCTAVES = (2, 4, 8, 16)  # cells along a side of the noises that fog is made of


def brightness(
    x: Float[Tensor, "B C H W"], added: float, draws: Draws
) -> Float[Tensor, "B C H W"]:
    """This is added to every value; nothing is drawn."""
    return (x + added).clamp(0, 1)


def contrast(
    x: Float[Tensor, "B C H W"], factor: float, draws: Draws
) -> Float[Tensor, "B C H W"]:
    """Deviations from the image's own mean are multiplied; nothing is drawn."""
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return (mean + factor * (x - mean)).clamp(0, 1)


def fog(
    x: Float[Tensor, "B C H W"], thickness: float, draws: Draws
) -> Float[Tensor, "B C H W"]:
    """(x + thickness * f) / (1 + thickness), f a cloudy noise in [0, 1] per image.

    The noise is a sum over octaves of smooth random fields, each half as strong as the
    one of half its frequency.
    """
    size = (x.shape[2], x.shape[3])
    clouds = torch.zeros(len(x), 1, *size)
    for number, cells in enumerate(OCTAVES):
        coarse = draws.fork(cells).uniform(0, 1, 1, cells + 1, cells + 1)
        smooth = F.interpolate(coarse, size=size, mode="bilinear", align_corners=True)
        clouds = clouds + smooth / 2**number
    clouds = clouds / sum(1 / 2**number for number in range(len(OCTAVES)))
    return (x + thickness * clouds) / (1 + thickness)

"""Corruptions that move pixels; black comes in from outside.

Images [B, C, H, W] in [0, 1]. The direction of each is drawn for every image, so the
suite has no preferred one.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.data.shift import resampled, rotation
from infaug.randomness import Draws


def rotate(
    x: Float[Tensor, "B C H W"], degrees: float, draws: Draws
) -> Float[Tensor, "B C H W"]:
    """By this angle, to the left or to the right."""
    return resampled(x, rotation(degrees * _sign(draws)))


def translate(
    x: Float[Tensor, "B C H W"], share: float, draws: Draws
) -> Float[Tensor, "B C H W"]:
    """By this share of the side, in any direction."""
    angle = draws.uniform(0, 2 * math.pi)
    offset = 2 * share * torch.stack([angle.cos(), angle.sin()], dim=1)
    return resampled(x, torch.eye(2).expand(len(x), -1, -1), offset)


def shear(
    x: Float[Tensor, "B C H W"], degrees: float, draws: Draws
) -> Float[Tensor, "B C H W"]:
    """Rows slide along each other, uprights lean by this angle to either side."""
    lean = math.tan(math.radians(degrees)) * _sign(draws)
    matrix = torch.eye(2).repeat(len(x), 1, 1)
    matrix[:, 0, 1] = lean
    return resampled(x, matrix)


def scale(
    x: Float[Tensor, "B C H W"], factor: float, draws: Draws
) -> Float[Tensor, "B C H W"]:
    """Larger or smaller by this factor."""
    power = factor ** _sign(draws)
    return resampled(x, torch.eye(2) * power[:, None, None])


def _sign(draws: Draws) -> Float[Tensor, "B"]:
    return torch.where(draws.uniform(0, 1) < 0.5, -1.0, 1.0)

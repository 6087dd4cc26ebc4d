"""Corruptions that change every pixel on its own.

Images [B, C, H, W] in [0, 1]; amounts grow with severity.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.randomness import Draws


def gaussian_noise(
    x: Float[Tensor, "B C H W"], deviation: float, draws: Draws
) -> Float[Tensor, "B C H W"]:
    """Normal noise of this standard deviation is added."""
    return (x + deviation * draws.normal(*x.shape[1:])).clamp(0, 1)


def shot_noise(
    x: Float[Tensor, "B C H W"], photons: float, draws: Draws
) -> Float[Tensor, "B C H W"]:
    """Poisson counts of mean photons * x, over photons: fewer photons, more noise."""
    counts = poisson(photons * x, draws.uniform(0, 1, *x.shape[1:]))
    return (counts / photons).clamp(0, 1)


def impulse_noise(
    x: Float[Tensor, "B C H W"], share: float, draws: Draws
) -> Float[Tensor, "B C H W"]:
    """This share of values is black or white, either as likely."""
    chance = draws.uniform(0, 1, *x.shape[1:])
    salted = torch.where(chance < share / 2, torch.ones_like(x), x)
    return torch.where(chance > 1 - share / 2, torch.zeros_like(x), salted)


def poisson(
    mean: Float[Tensor, "B C H W"], uniform: Float[Tensor, "B C H W"]
) -> Float[Tensor, "B C H W"]:
    """Poisson counts by inversion: the least n whose distribution exceeds `uniform`.

    Counts end eight standard deviations above the largest mean.
    """
    largest = float(mean.max())
    density = (-mean).exp()
    below, counts = density.clone(), torch.zeros_like(mean)
    for n in range(1, int(largest + 8 * largest**0.5) + 2):
        counts += uniform >= below
        density = density * mean / n
        below += density
    return counts

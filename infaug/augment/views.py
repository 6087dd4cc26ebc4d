"""Several augmentations of the same images, side by side, for F to train on."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.randomness import Draws
from infaug.types import Augment, Views


def make_views(
    x: Float[Tensor, "B C H W"],
    y: Float[Tensor, "B Y"],
    augments: Sequence[Augment],
    draws: Draws,
) -> Views:
    """One view per augmentation of every image, equally weighted."""
    views = [augment(x, draws.fork("view", k)) for k, augment in enumerate(augments)]
    weights = torch.full((len(x), len(views)), 1 / len(views), device=x.device)
    return Views(torch.stack(views, dim=1), y, weights)

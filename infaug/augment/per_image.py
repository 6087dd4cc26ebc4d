"""torchvision's augmentations as ours: one image at a time, by our random numbers."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.randomness import Draws

SEEDS = 2**24  # Uniform float32 numbers tell that many apart.


def per_image(
    x: Float[Tensor, "B C H W"], draws: Draws, transform: Callable[[Tensor], Tensor]
) -> Float[Tensor, "B C H W"]:
    """`transform` of each image, rounded to 8 bits, with its own random numbers.

    torchvision draws from torch's global generator, and once for a whole batch. Here
    that generator is seeded before every image from `draws`, and put back after.
    """
    seeds = draws.uniform(0, SEEDS).long().tolist()
    stored = (255 * x).round().to(torch.uint8)
    with torch.random.fork_rng(devices=[]):
        views = []
        for image, seed in zip(stored, seeds, strict=True):
            torch.default_generator.manual_seed(seed)
            views.append(transform(image))
    return torch.stack(views).to(x.dtype) / 255

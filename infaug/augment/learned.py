"""The learned augmentation: tau from E, varied by dropout and noise."""

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.config import EstimatorConfig
from infaug.estimate.chance import draw_chance
from infaug.estimate.learned_transform import LearnedTransform
from infaug.randomness import Draws


class Learned:
    """x_aug = G(x, keep * E(x) + noise), without gradients: what F trains on.

    Args:
        transform: E and G.
        config: how tau varies, as when E learned.

    Attributes:
        probability: share of images that are changed; the others pass as they are.
    """

    def __init__(self, transform: LearnedTransform, config: EstimatorConfig):
        self.transform = transform
        self.config = config
        self.probability = 1.0

    @torch.no_grad()
    def __call__(
        self, x: Float[Tensor, "B C H W"], draws: Draws
    ) -> Float[Tensor, "B C H W"]:
        """One view of each image."""
        size = self.transform.config.tau_size
        chance = draw_chance(self.config, size, self.probability, draws)
        x_aug = self.transform(x, chance.noise, chance.keep)
        if chance.changed is None:
            return x_aug
        return torch.where(chance.changed[:, None, None, None], x_aug, x)

"""The learned augmentation: tau from E, varied by dropout and noise."""

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.config import EstimatorConfig
from infaug.estimate.chance import tau_dropout, tau_noise
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
        noise = tau_noise(self.config, size, draws)
        x_aug = self.transform(x, noise, tau_dropout(self.config, size, draws))
        if self.probability == 1:
            return x_aug
        changed = draws.uniform(0, 1) < self.probability
        return torch.where(changed[:, None, None, None], x_aug, x)

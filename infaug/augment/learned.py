"""The learned augmentation: tau from E, varied by noise."""

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.estimate.learned_transform import LearnedTransform
from infaug.randomness import Draws


class Learned:
    """x_aug = G(x, E(x) + noise), without gradients: what F trains on.

    Args:
        transform: E and G.
        tau_noise: standard deviation of the Gaussian noise on tau.

    Attributes:
        probability: share of images that are changed; the others pass as they are.
    """

    def __init__(self, transform: LearnedTransform, tau_noise: float):
        self.transform = transform
        self.tau_noise = tau_noise
        self.probability = 1.0

    @torch.no_grad()
    def __call__(
        self, x: Float[Tensor, "B C H W"], draws: Draws
    ) -> Float[Tensor, "B C H W"]:
        """One view of each image."""
        noise = self.tau_noise * draws.normal(self.transform.config.tau_size)
        x_aug = self.transform(x, noise)
        if self.probability == 1:
            return x_aug
        changed = draws.uniform(0, 1) < self.probability
        return torch.where(changed[:, None, None, None], x_aug, x)

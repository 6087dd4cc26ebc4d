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
    """

    def __init__(self, transform: LearnedTransform, tau_noise: float):
        self.transform = transform
        self.tau_noise = tau_noise

    @torch.no_grad()
    def __call__(
        self, x: Float[Tensor, "B C H W"], draws: Draws
    ) -> Float[Tensor, "B C H W"]:
        """One view of each image."""
        noise = self.tau_noise * draws.normal(self.transform.config.tau_size)
        return self.transform(x, noise)

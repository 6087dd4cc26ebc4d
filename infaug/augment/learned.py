"""Views by G: at the tau of E, or at random tau, which learning must beat."""

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.config import EstimatorConfig
from infaug.estimate.learned_transform import LearnedTransform, draw_view
from infaug.randomness import RandomNumbers
from infaug.transform.fields import apply_fields
from infaug.transform.generator import Generator


class Learned:
    """x_aug = G(x, mask * E(x) + noise), without gradients: what F trains on.

    Args:
        transform: E and G.
        config: how tau varies, as when E learned.
        is_shuffled: whether each image gets the tau of the one before it in its group.

    Attributes:
        probability: share of images that are changed; the others pass as they are.
    """

    def __init__(
        self,
        transform: LearnedTransform,
        config: EstimatorConfig,
        *,
        is_shuffled: bool = False,
    ):
        self.transform = transform
        self.config = config
        self.is_shuffled = is_shuffled
        self.probability = 1.0

    @torch.no_grad()
    def __call__(
        self, x: Float[Tensor, "B C H W"], rng: RandomNumbers
    ) -> Float[Tensor, "B C H W"]:
        """One view of each image."""
        size = self.transform.config.tau_size
        drawn = draw_view(self.config, size, self.probability, rng)
        seen = x
        if self.is_shuffled:
            groups = x.unflatten(0, (-1, rng.group_size))
            seen = groups.roll(1, dims=1).flatten(0, 1)
        fields = self.transform.unbounded(seen, drawn.noise, drawn.mask)
        x_aug = self.transform.render(x, fields)
        if drawn.changed is None:
            return x_aug
        return torch.where(drawn.changed[:, None, None, None], x_aug, x)


class RandomTau:
    """x_aug = G(x, tau) with tau uniform in [-1, 1]^T, the range of E's tau."""

    def __init__(self, generator: Generator):
        self.generator = generator

    @torch.no_grad()
    def __call__(
        self, x: Float[Tensor, "B C H W"], rng: RandomNumbers
    ) -> Float[Tensor, "B C H W"]:
        """One view of each image, with its own tau."""
        tau = rng.uniform(-1, 1, self.generator.config.tau_size)
        fields = self.generator(tau.to(x.dtype))
        return apply_fields(x, fields, padding=self.generator.config.padding)

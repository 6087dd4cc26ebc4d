"""Random tau through G: the control that learning must beat."""

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.randomness import Draws
from infaug.transform.apply import apply_fields
from infaug.transform.generator import Generator


class RandomTau:
    """x_aug = G(x, tau) with tau uniform in [-1, 1]^T, the range of E's tau."""

    def __init__(self, generator: Generator):
        self.generator = generator

    @torch.no_grad()
    def __call__(
        self, x: Float[Tensor, "B C H W"], draws: Draws
    ) -> Float[Tensor, "B C H W"]:
        """One view of each image, with its own tau."""
        tau = draws.uniform(-1, 1, self.generator.config.tau_size)
        fields = self.generator(tau.to(x.dtype))
        return apply_fields(x, fields, padding=self.generator.config.padding)

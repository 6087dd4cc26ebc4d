"""E and G together: x -> tau -> x_aug, differentiable from end to end."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from infaug.config import TransformConfig
from infaug.estimate.estimator import Estimator
from infaug.randomness import Draws, Purpose, generator
from infaug.state import fill
from infaug.transform.apply import apply_fields
from infaug.transform.fields import Fields
from infaug.transform.generator import Generator


class LearnedTransform(nn.Module):
    """x_aug = G(x, keep * E(x) + noise).

    The caller draws both, see `estimate.chance`; zero noise and no `keep` give E's mean
    view. E and G share one size of tau; both are built for images of one size. All
    fields are multiplied by `strength`, a part of the saved state: 1, until it is
    backed off.
    """

    strength: Tensor

    def __init__(self, config: TransformConfig, channels: int, height: int, width: int):
        super().__init__()
        self.config = config
        self.estimator = Estimator(config.tau_size, channels, height, width)
        self.generator = Generator(config, channels, height, width)
        self.register_buffer("strength", torch.ones(()))

    def forward(
        self,
        x: Float[Tensor, "B C H W"],
        noise: Float[Tensor, "B T"],
        keep: Float[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B C H W"]:
        """One view of each image in [0, 1]; differentiable in E, G and x."""
        return self.render(x, self.unbounded(x, noise, keep))

    def unbounded(
        self,
        x: Float[Tensor, "B C H W"],
        noise: Float[Tensor, "B T"],
        keep: Float[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B F H W"]:
        """Fields of each image before tanh; zero is the identity."""
        return self.generator.unbounded(self.tau(x, noise, keep))

    def tau(
        self,
        x: Float[Tensor, "B C H W"],
        noise: Float[Tensor, "B T"],
        keep: Float[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B T"]:
        """What G is given: keep * E(x) + noise."""
        tau = self.estimator(x)
        if keep is not None:
            tau = tau * keep.to(x.dtype)
        return tau + noise.to(x.dtype)

    def render(
        self, x: Float[Tensor, "B C H W"], unbounded: Float[Tensor, "B F H W"]
    ) -> Float[Tensor, "B C H W"]:
        """The images warped and recoloured by the fields, once bounded."""
        return apply_fields(x, self.bounded(unbounded), padding=self.config.padding)

    def bounded(self, unbounded: Float[Tensor, "B F H W"]) -> Fields:
        """What `render` warps and recolours by."""
        return self.generator.bound(unbounded).scaled(self.strength)


def build_transform(
    config: TransformConfig, channels: int, height: int, width: int, *seed: Purpose
) -> LearnedTransform:
    """E and G with initial weights that are a function of `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(*seed, "transform").initial_seed())
        transform = LearnedTransform(config, channels, height, width)
    tau = random_tau(config.tau_size, *seed)
    transform.generator.calibrate(tau, config.initial_spread)
    return transform


def random_tau(tau_size: int, *seed: Purpose) -> Float[Tensor, "B T"]:
    """The taus on which a G of this seed is calibrated."""
    return Draws.of_size(256, *seed, "calibrate").uniform(-1, 1, tau_size)


def transform_of(
    config: TransformConfig,
    image_shape: Sequence[int],
    tensors: Mapping[str, Tensor],
    path: Path,
    remedy: str,
) -> LearnedTransform:
    """E and G with these weights, which `path` holds; they do not learn.

    Raises:
        ValueError: if the weights are not those of such an E and G.
    """
    # No memory and no random number is spent on weights that are replaced.
    with torch.device("meta"):
        transform = LearnedTransform(config, *image_shape)
    fill(transform, tensors, path, remedy)
    return transform.eval().requires_grad_(False)

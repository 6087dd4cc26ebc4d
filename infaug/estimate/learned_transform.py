"""E, G and what varies a view of an image from the next: x -> tau -> x_aug."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from infaug.config import EstimatorConfig, TransformConfig
from infaug.randomness import RandomNumbers, SeedKey, seeded
from infaug.state import fill
from infaug.transform.fields import Fields, apply_fields
from infaug.transform.generator import Generator
from infaug.transform.layers import build_stack, descend_stack, layer_table


def tau_noise(
    config: EstimatorConfig, tau_size: int, rng: RandomNumbers
) -> Float[Tensor, "B T"]:
    """Gaussian noise to add to tau."""
    return config.tau_noise * rng.normal(tau_size)


def tau_dropout(
    config: EstimatorConfig, tau_size: int, rng: RandomNumbers
) -> Float[Tensor, "B T"] | None:
    """Factors on tau: 0 with the configured probability p, else 1 / (1 - p).

    The mean of a factor is 1 (Srivastava et al., 2014). None without dropout.
    """
    dropped = config.tau_dropout
    if dropped == 0:
        return None
    kept = rng.fork("dropout").uniform(0, 1, tau_size) >= dropped
    return kept.float() / (1 - dropped)


@dataclass(frozen=True, eq=False)
class ViewDraw:
    """All that is drawn for one view of each image."""

    noise: Float[Tensor, "B T"]
    """Added to tau."""
    mask: Float[Tensor, "B T"] | None
    """Factors on tau; None without dropout."""
    changed: Bool[Tensor, "B"] | None
    """Which images the view changes; None: all."""


def draw_view(
    config: EstimatorConfig, tau_size: int, probability: float, rng: RandomNumbers
) -> ViewDraw:
    """What `rng` says of one view of each image; each is changed by `probability`."""
    return ViewDraw(
        noise=tau_noise(config, tau_size, rng),
        mask=tau_dropout(config, tau_size, rng),
        changed=None if probability == 1 else rng.uniform(0, 1) < probability,
    )


class Estimator(nn.Module):
    """Four convolutions (three at 28 px) and a linear layer; tau lies in (-1, 1).

    Layers are those of Lee et al. (ICLR 2019 submission, appendix A): 4x4 convolutions,
    stride 1 then 2, ReLU, linear, tanh. Above 64 px see `transform.layers`.
    """

    def __init__(self, tau_size: int, channels: int, height: int, width: int):
        super().__init__()
        table = layer_table(height, width)
        self.first, self.down = build_stack(channels, table)
        self.linear = nn.Linear(table.bottom_features, tau_size)

    @torch.no_grad()
    def be_constant(self) -> None:
        """From here on tau is the same for all images, and only that is learned."""
        self.linear.weight.zero_()
        self.linear.weight.register_hook(torch.zeros_like)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B T"]:
        """Tau of each image in [0, 1]."""
        return torch.tanh(self.linear(descend_stack(x, self.first, self.down, F.relu)))


class LearnedTransform(nn.Module):
    """x_aug = G(x, mask * E(x) + noise).

    The caller draws both, see `draw_view`; zero noise and no `mask` give E's mean
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
        self.parts_that_fit = 1  # of a batch, into GPU memory; grows

    def forward(
        self,
        x: Float[Tensor, "B C H W"],
        noise: Float[Tensor, "B T"],
        mask: Float[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B C H W"]:
        """One view of each image in [0, 1]; differentiable in E, G and x."""
        return self.render(x, self.unbounded(x, noise, mask))

    def unbounded(
        self,
        x: Float[Tensor, "B C H W"],
        noise: Float[Tensor, "B T"],
        mask: Float[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B F H W"]:
        """Fields of each image before tanh; zero is the identity."""
        return self.generator.unbounded(self.tau(x, noise, mask))

    def tau(
        self,
        x: Float[Tensor, "B C H W"],
        noise: Float[Tensor, "B T"],
        mask: Float[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B T"]:
        """What G is given: mask * E(x) + noise."""
        tau = self.estimator(x)
        if mask is not None:
            tau = tau * mask.to(x.dtype)
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
    config: TransformConfig, channels: int, height: int, width: int, *seed: SeedKey
) -> LearnedTransform:
    """E and G with initial weights that are a function of `seed`."""
    with seeded(*seed, "transform"):
        transform = LearnedTransform(config, channels, height, width)
    tau = random_tau(config.tau_size, *seed)
    transform.generator.calibrate(tau, config.initial_spread)
    return transform


def random_tau(tau_size: int, *seed: SeedKey) -> Float[Tensor, "B T"]:
    """The taus on which a G of this seed is calibrated."""
    return RandomNumbers.of_size(256, *seed, "calibrate").uniform(-1, 1, tau_size)


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

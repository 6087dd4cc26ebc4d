"""What varies one view of an image from the next: dropout and noise of tau, luck."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from infaug.config import EstimatorConfig
from infaug.randomness import Draws


def tau_noise(
    config: EstimatorConfig, tau_size: int, draws: Draws
) -> Float[Tensor, "B T"]:
    """Gaussian noise to add to tau."""
    return config.tau_noise * draws.normal(tau_size)


def tau_dropout(
    config: EstimatorConfig, tau_size: int, draws: Draws
) -> Float[Tensor, "B T"] | None:
    """Factors on tau: 0 with the configured probability p, else 1 / (1 - p).

    The mean of a factor is 1 (Srivastava et al., 2014). None without dropout.
    """
    dropped = config.tau_dropout
    if dropped == 0:
        return None
    kept = draws.fork("dropout").uniform(0, 1, tau_size) >= dropped
    return kept.float() / (1 - dropped)


@dataclass(frozen=True, eq=False)
class Chance:
    """All that is drawn for one view of each image."""

    noise: Float[Tensor, "B T"]
    """Added to tau."""
    keep: Float[Tensor, "B T"] | None
    """Factors on tau; None without dropout."""
    changed: Bool[Tensor, "B"] | None
    """Which images the view changes; None: all."""


def draw_chance(
    config: EstimatorConfig, tau_size: int, probability: float, draws: Draws
) -> Chance:
    """What `draws` say of one view of each image; each is changed by `probability`."""
    return Chance(
        noise=tau_noise(config, tau_size, draws),
        keep=tau_dropout(config, tau_size, draws),
        changed=None if probability == 1 else draws.uniform(0, 1) < probability,
    )

"""What varies tau from one view of an image to the next: dropout and noise."""

from jaxtyping import Float
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

"""Where an adversarial fit of G begins: with the covariance of the real flows.

Differs from the papers, whose G begins at random: from there the flow critic alone took
thousands of updates to learn that, say, the off-diagonal entries of a rotation are
opposite. What is left to the critics is everything beyond mean and covariance.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.config import AdversarialConfig, TransformConfig
from infaug.randomness import Draws
from infaug.transform.affine_flows import compose, random_parameters
from infaug.transform.fields import num_field_channels

NUM_FLOWS = 4096
FLOW_FIELDS = 6


def start_covariance(
    config: TransformConfig,
    adversarial: AdversarialConfig,
    channels: int,
    height: int,
    width: int,
) -> Float[Tensor, "F F"]:
    """Covariance of the fields over random tau, before tanh, when the fit begins.

    For A and b that of random affine flows, times `start_share` squared; for colours
    independent, with the spread of a G that is not fitted. Singular where a range or a
    strength is zero.
    """
    draws = Draws.of_size(NUM_FLOWS, "start")
    parameters = random_parameters(draws, adversarial.affine)
    affine = compose(parameters, height, width).double()
    identity = torch.eye(2, dtype=affine.dtype)
    matrix = _shares((affine[:, :, :2] - identity).flatten(1), config.matrix_strength)
    offset = _shares(affine[:, :, 2], config.offset_strength)
    # What the strengths cannot reach is left to their ends.
    before_tanh = torch.cat([matrix, offset], dim=1).clamp(-0.95, 0.95).atanh()
    covariance = config.initial_spread**2 * torch.eye(
        num_field_channels(channels), dtype=affine.dtype
    )
    share = adversarial.start_share**2
    covariance[:FLOW_FIELDS, :FLOW_FIELDS] = share * before_tanh.T.cov()
    return covariance


def _shares(values: Float[Tensor, "B F"], strength: float) -> Float[Tensor, "B F"]:
    """Values as shares of what a field reaches; a field without strength has none."""
    return values / strength if strength > 0 else torch.zeros_like(values)

"""Random affine flows, the closest affine map of a flow, and how far G's flows reach.

The flow critic takes the random ones for real, and G begins with their covariance. A
flow maps an output pixel to its source, (x, y) in [-1, 1], as in `transform.spatial`;
ranges speak of what the eye sees: the inverse map.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.config import AdversarialConfig, AffineRanges, TransformConfig
from infaug.randomness import RandomNumbers
from infaug.transform.fields import num_field_channels
from infaug.transform.spatial import affine_flow, affine_of, on_sides, pixel_grid


@dataclass(frozen=True)
class AffineParameters:
    """What affine maps do to images, as seen by the eye; six numbers each.

    Attributes:
        rotation_deg: counter-clockwise.
        shear_deg: upper parts move to the right.
        scale: along x and y; above 1 enlarges.
        translation: to the right and downwards, as a share of the side.
    """

    rotation_deg: Float[Tensor, "B"]
    shear_deg: Float[Tensor, "B"]
    scale: Float[Tensor, "B 2"]
    translation: Float[Tensor, "B 2"]


def random_affine_flows(
    rng: RandomNumbers, ranges: AffineRanges, height: int, width: int
) -> Float[Tensor, "B H W 2"]:
    """The flow of one random affine map for each sample."""
    affine = compose(random_parameters(rng, ranges), height, width)
    return affine_flow(affine, height, width)


def random_parameters(rng: RandomNumbers, ranges: AffineRanges) -> AffineParameters:
    """One random affine map for each sample, its six numbers independent."""
    low, high = (math.log(limit) for limit in ranges.scale)
    return AffineParameters(
        rotation_deg=rng.uniform(-ranges.degrees, ranges.degrees),
        shear_deg=rng.uniform(-ranges.shear_deg, ranges.shear_deg),
        scale=rng.uniform(low, high, 2).exp(),
        translation=rng.uniform(-ranges.translate, ranges.translate, 2),
    )


def compose(
    parameters: AffineParameters, height: int, width: int
) -> Float[Tensor, "B 2 3"]:
    """The map from output to source that shows these parameters to the eye.

    The eye sees p = M s + t with M = R(rotation) [[1, -tan shear], [0, 1]] diag(scale)
    and y downwards, on pixels: turning stretches no image of `height` x `width`. Its
    inverse is s = M^-1 p - M^-1 t. The map is on normalised coordinates, so there t is
    twice the translation.
    """
    matrix = _rotation(parameters.rotation_deg) @ _shear(parameters.shear_deg)
    # inv waits for the device to learn whether it failed; scales are above 0.
    inverse = torch.linalg.inv_ex(matrix * parameters.scale[:, None, :]).inverse
    return affine_of(inverse, 2 * parameters.translation, height, width)


def decompose(
    affine: Float[Tensor, "B 2 3"], height: int, width: int
) -> AffineParameters:
    """The parameters from which `compose` makes this map; unique if it does not mirror.

    A map that mirrors the image has a negative scale along y.
    """
    on_both = torch.linalg.inv(affine[:, :, :2])
    matrix = on_both / on_sides(height, width, like=on_both)
    angle = torch.atan2(-matrix[:, 1, 0], matrix[:, 0, 0]).rad2deg()
    # Undoing the rotation leaves [[scale x, -tan(shear) scale y], [0, scale y]].
    upper = _rotation(-angle) @ matrix
    tangent = -upper[:, 0, 1] / upper[:, 1, 1]
    return AffineParameters(
        rotation_deg=angle,
        shear_deg=tangent.atan().rad2deg(),
        scale=upper.diagonal(dim1=1, dim2=2),
        translation=-(on_both @ affine[:, :, 2:]).squeeze(2) / 2,
    )


def fit_affine(flow: Float[Tensor, "B H W 2"]) -> Float[Tensor, "B 2 3"]:
    """The affine map closest to a flow: least squares over the pixels.

    Columns x, y and 1 of the design are orthogonal on a centred grid, so each
    coefficient is a mean of products: mean(flow * x) / mean(x^2).
    """
    grid = pixel_grid(*flow.shape[1:3], like=flow)
    design = torch.cat([grid, torch.ones_like(grid[:, :, :1])], dim=2)
    squares = design.square().sum(dim=(0, 1))
    return torch.einsum("bhwi,hwj->bij", flow, design) / squares


def _rotation(degrees: Float[Tensor, "B"]) -> Float[Tensor, "B 2 2"]:
    cos, sin = degrees.deg2rad().cos(), degrees.deg2rad().sin()
    rows = [torch.stack([cos, sin], dim=1), torch.stack([-sin, cos], dim=1)]
    return torch.stack(rows, dim=1)


def _shear(degrees: Float[Tensor, "B"]) -> Float[Tensor, "B 2 2"]:
    one, zero = torch.ones_like(degrees), torch.zeros_like(degrees)
    tangent = degrees.deg2rad().tan()
    rows = [torch.stack([one, -tangent], dim=1), torch.stack([zero, one], dim=1)]
    return torch.stack(rows, dim=1)


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
    rng = RandomNumbers.of_size(NUM_FLOWS, "start")
    parameters = random_parameters(rng, adversarial.affine)
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

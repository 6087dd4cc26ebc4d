"""What G makes of tau, four fields, and what they make of an image."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from infaug.transform.spatial import flow_of, warp


@dataclass(frozen=True)
class Fields:
    """Spatial and appearance fields of a batch; all zero is the identity.

    Attributes:
        matrix: A, the local 2x2 matrices minus the identity, row by row.
        offset: b, local displacement in normalised coordinates (2 = one image side).
        filter: c_w, the 1x1 colour filter minus the identity, C*C channels row by row.
        bias: c_b, the colour bias in units of the value range.
    """

    matrix: Float[Tensor, "B 4 H W"]
    offset: Float[Tensor, "B 2 H W"]
    filter: Float[Tensor, "B CC H W"]
    bias: Float[Tensor, "B C H W"]

    def scaled(self, strength: Float[Tensor, ""]) -> "Fields":
        """Fields nearer to the identity by this factor."""
        return Fields(
            matrix=strength * self.matrix,
            offset=strength * self.offset,
            filter=strength * self.filter,
            bias=strength * self.bias,
        )


def num_field_channels(channels: int) -> int:
    """Channels of all fields together: 8 for grey images, 18 for RGB.

    >>> num_field_channels(1), num_field_channels(3)
    (8, 18)
    """
    return 4 + 2 + channels * channels + channels


def recolour(
    x: Float[Tensor, "B C H W"],
    filter: Float[Tensor, "B CC H W"],
    bias: Float[Tensor, "B C H W"],
) -> Float[Tensor, "B C H W"]:
    """X + (c_w * x + c_b), each pixel with its own C x C filter (not clamped).

    Lee et al., ICLR 2019 submission, section 4.2. Zero fields are the identity.
    """
    channels = x.shape[1]
    mixed = (filter.unflatten(1, (channels, channels)) * x.unsqueeze(1)).sum(dim=2)
    return x + mixed + bias


def apply_fields(
    x: Float[Tensor, "B C H W"], fields: Fields, *, padding: str
) -> Float[Tensor, "B C H W"]:
    """The image warped, then recoloured, then clamped to [0, 1].

    Differentiable in the fields; the clamp stops the gradient of pixels it cuts.
    """
    warped = warp(x, flow_of(fields.matrix, fields.offset), padding=padding)
    return recolour(warped, fields.filter, fields.bias).clamp(0, 1)

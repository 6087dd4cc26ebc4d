"""Images seen through an affine map of their own."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def resampled(
    x: Float[Tensor, "B C H W"],
    matrix: Float[Tensor, "B 2 2"],
    offset: Float[Tensor, "B 2"] | None = None,
) -> Float[Tensor, "B C H W"]:
    """Every output pixel takes the value at matrix @ (right, down) + offset.

    Positions are pixels from the centre, `offset` is in halves of width and height.
    Bilinear; black comes in from outside.
    """
    # Normalised coordinates: a pixel is not as wide as high if the image is not square.
    aspect = x.shape[2] / x.shape[3]
    scale = torch.tensor([[1.0, aspect], [1 / aspect, 1.0]])
    if offset is None:
        offset = matrix.new_zeros(len(x), 2)
    theta = torch.cat([matrix * scale, offset.unsqueeze(-1)], dim=-1)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False).clamp(0, 1)


def rotation(degrees: Float[Tensor, "B"]) -> Float[Tensor, "B 2 2"]:
    """The maps by which `resampled` turns images counter-clockwise."""
    angle = torch.deg2rad(degrees)
    cos, sin = angle.cos(), angle.sin()
    rows = [torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)]
    return torch.stack(rows, dim=-2)

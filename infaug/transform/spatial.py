"""The spatial model: fields -> flow -> warped image."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def pixel_grid(height: int, width: int, like: Tensor) -> Float[Tensor, "H W 2"]:
    """Centres of the pixels as (x, y) in [-1, 1], corners of the image at +-1."""
    ys = (torch.arange(height, device=like.device, dtype=like.dtype) + 0.5) * 2
    xs = (torch.arange(width, device=like.device, dtype=like.dtype) + 0.5) * 2
    grid_y, grid_x = torch.meshgrid(ys / height - 1, xs / width - 1, indexing="ij")
    return torch.stack([grid_x, grid_y], dim=-1)


def flow_of(
    matrix: Float[Tensor, "B 4 H W"], offset: Float[Tensor, "B 2 H W"]
) -> Float[Tensor, "B H W 2"]:
    """Where each output pixel takes its value from, (x, y) in [-1, 1].

    s(i,j) = A(i,j) (i,j) + b(i,j) + (i,j)   (Lee et al., ICLR 2019 submission, eq. 20)

    with coordinates centred on the image, so that a constant A turns and scales about
    the centre. Zero fields give the identity grid.
    """
    x, y = pixel_grid(*matrix.shape[2:], like=matrix).unbind(-1)
    xx, xy, yx, yy = matrix.unbind(1)
    source_x = xx * x + xy * y + offset[:, 0] + x
    source_y = yx * x + yy * y + offset[:, 1] + y
    return torch.stack([source_x, source_y], dim=-1)


def warp(
    x: Float[Tensor, "B C H W"], flow: Float[Tensor, "B H W 2"], *, padding: str
) -> Float[Tensor, "B C H W"]:
    """Bilinear samples of `x` at `flow` (Jaderberg et al., 2015).

    `padding` says what lies outside: "zeros", "border" or "reflection".
    """
    return F.grid_sample(x, flow.to(x.dtype), "bilinear", padding, align_corners=False)

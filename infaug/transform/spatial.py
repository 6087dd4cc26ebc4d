"""The spatial model: fields -> flow -> warped image."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from infaug.randomness import to_device


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


def on_sides(height: int, width: int, *, like: Tensor) -> Float[Tensor, "2 2"]:
    """What makes a matrix on pixels, entry by entry, one on (x, y) in [-1, 1].

    Half a height is not as many pixels as half a width if the image is not square. The
    inverse of a matrix takes the same factors.

    >>> on_sides(2, 8, like=torch.zeros(()))
    tensor([[1.0000, 0.2500],
            [4.0000, 1.0000]])
    """
    aspect = height / width
    factors = torch.tensor([[1.0, aspect], [1 / aspect, 1.0]], dtype=like.dtype)
    return to_device(factors, like.device)


def stretch(displacement: Float[Tensor, "B H W 2"]) -> Float[Tensor, "B"]:
    """Lipschitz constant of a displacement between pixels, by bilinear interpolation.

    The largest spectral norm of its Jacobian. Inside a cell of four pixels each column
    of the Jacobian lies between differences along two opposite edges, and the norm is
    convex, so the largest is found where one edge along x meets one along y.
    """
    height, width = displacement.shape[1:3]
    along_x = displacement.diff(dim=2) * (width / 2)
    along_y = displacement.diff(dim=1) * (height / 2)
    norms = [
        spectral_norm(in_x, in_y)
        for in_x in (along_x[:, :-1], along_x[:, 1:])
        for in_y in (along_y[:, :, :-1], along_y[:, :, 1:])
    ]
    return torch.stack(norms).amax(dim=(0, 2, 3))


def spectral_norm(
    first: Float[Tensor, "*B 2"], second: Float[Tensor, "*B 2"]
) -> Float[Tensor, "*B"]:
    """Largest singular value of the 2x2 matrices with these columns.

    Half of |(a + d, c - b)| + |(a - d, b + c)|: a 2x2 matrix is a turn times a scale
    plus a mirrored turn times a scale.
    """
    (a, c), (b, d) = first.unbind(-1), second.unbind(-1)
    # The gradient of a root is infinite at zero, where the identity begins.
    tiny = torch.finfo(a.dtype).tiny
    turned = ((a + d).square() + (c - b).square()).clamp_min(tiny).sqrt()
    mirrored = ((a - d).square() + (b + c).square()).clamp_min(tiny).sqrt()
    return (turned + mirrored) / 2


def warp(
    x: Float[Tensor, "B C H W"], flow: Float[Tensor, "B H W 2"], *, padding: str
) -> Float[Tensor, "B C H W"]:
    """Bilinear samples of `x` at `flow` (Jaderberg et al., 2015).

    `padding` says what lies outside: "zeros", "border" or "reflection".
    """
    return F.grid_sample(x, flow.to(x.dtype), "bilinear", padding, align_corners=False)


def inverse_affine(
    angle: Float[Tensor, "B"], shear: Float[Tensor, "B"], scale: Float[Tensor, "B"]
) -> Float[Tensor, "B 2 2"]:
    """Matrices on pixels, output to source, of rotation x shear x scale (radians)."""
    cos, sin, tan = angle.cos(), angle.sin(), shear.tan()
    # Forward map: scale * R(angle) @ [[1, -tan], [0, 1]]; y grows downwards.
    forward = torch.stack(
        [
            torch.stack([cos, -cos * tan + sin], dim=-1),
            torch.stack([-sin, sin * tan + cos], dim=-1),
        ],
        dim=-2,
    )
    # inv waits for the device to learn whether it failed; scales are above 0.
    return torch.linalg.inv_ex(scale[:, None, None] * forward).inverse


def warp_affine(
    x: Float[Tensor, "B C H W"],
    source: Float[Tensor, "B 2 2"],
    shift: Float[Tensor, "B 2"],
) -> Float[Tensor, "B C H W"]:
    """Images by a linear map on pixels, then moved: see `affine_of`; zero outside."""
    height, width = x.shape[2:]
    flow = affine_flow(affine_of(source, shift, height, width), height, width)
    return warp(x, flow, padding="zeros")


def affine_of(
    source: Float[Tensor, "B 2 2"], shift: Float[Tensor, "B 2"], height: int, width: int
) -> Float[Tensor, "B 2 3"]:
    """The map of (x, y) in [-1, 1], output to source, that shows M^-1 and a move.

    s = M^-1 p - M^-1 t, where `source` is M^-1 on pixels and `shift`, t, is what the
    eye sees move, in normalised coordinates: 2 is one image side.
    """
    source = source * on_sides(height, width, like=source)
    return torch.cat([source, -source @ shift[:, :, None]], dim=2)


def affine_flow(
    affine: Float[Tensor, "B 2 3"], height: int, width: int
) -> Float[Tensor, "B H W 2"]:
    """The flow that is this affine map everywhere."""
    identity = torch.eye(2, dtype=affine.dtype, device=affine.device)
    matrix = (affine[:, :, :2] - identity).flatten(1)[:, :, None, None]
    offset = affine[:, :, 2, None, None]
    size = (-1, -1, height, width)
    return flow_of(matrix.expand(*size), offset.expand(*size))

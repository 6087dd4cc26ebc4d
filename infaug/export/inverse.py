"""Where a flow takes a point: the inverse of the map from output to source.

A pixel of the output at p has its value from s(p) = p + d(p), so what lies at q in the
source is seen where s(p) = q. Coordinates are (x, y) in [-1, 1], as those of the flow.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from infaug.transform.affine_flows import fit_affine
from infaug.transform.spatial import affine_flow, pixel_grid, stretch

TOLERANCE_PX = 0.1
MAX_STEPS = 400
# A flow of G stretches by 0.95 at most; one that is not bounded need not be found.
MAX_STRETCH = 0.96


@dataclass(frozen=True, eq=False)
class Inverse:
    """Points of the output, and which of them are known to `TOLERANCE_PX`."""

    points: Float[Tensor, "B P 2"]
    found: Bool[Tensor, "B P"]


def invert(flow: Float[Tensor, "B H W 2"], points: Float[Tensor, "B P 2"]) -> Inverse:
    """Where each point of the source is seen, by fixed-point iteration.

    p <- q - d(p) moves by the residual s(p) - q. If d stretches by at most L < 1, it is
    a contraction, the answer is unique, and |p - answer| <= |residual| / (1 - L), which
    is the bound at which it stops. It begins at the inverse of the closest affine map,
    so an affine flow needs no step.

    Between pixels d is bilinear. Beyond the image the closest affine map continues, and
    what is left of d stays as it is at the border.
    """
    height, width = flow.shape[1:3]
    affine = fit_affine(flow)
    matrix, offset = affine[:, :, :2], affine[:, None, :, 2]
    # pinv: a flow that folds may have a closest affine map without an inverse.
    found = (points - offset) @ torch.linalg.pinv(matrix).mT
    rest = (flow - affine_flow(affine, height, width)).permute(0, 3, 1, 2)
    displacement = flow - pixel_grid(height, width, like=flow)
    left = 1 - stretch(displacement).clamp_max(MAX_STRETCH)
    close = (2 * TOLERANCE_PX / max(height, width) * left)[:, None]
    is_close = torch.zeros(found.shape[:2], dtype=torch.bool, device=found.device)
    for _ in range(MAX_STEPS):
        source = found @ matrix.mT + offset + _sample(rest, found)
        residual = source - points
        is_close = residual.norm(dim=2) <= close
        if is_close.all():
            break
        found = torch.where(is_close[:, :, None], found, found - residual)
    return Inverse(found, is_close)


def fold_share(flow: Float[Tensor, "B H W 2"]) -> Float[Tensor, "B"]:
    """Share of each image in which its flow folds: 0 where it is one-to-one.

    The sign of the Jacobian says which way round the source is seen. A flow folds where
    that changes, so the share is that of the rarer sign, over cells of four pixels. In
    a cell the flow is bilinear and its determinant linear, so the corners decide.
    """
    along_x, along_y = flow.diff(dim=2), flow.diff(dim=1)
    corners = torch.stack(
        [
            _determinant(in_x, in_y)
            for in_x in (along_x[:, :-1], along_x[:, 1:])
            for in_y in (along_y[:, :, :-1], along_y[:, :, 1:])
        ]
    )
    signs = (corners.amin(dim=0) <= 0, corners.amax(dim=0) >= 0)
    shares = [is_so.to(flow.dtype).mean(dim=(1, 2)) for is_so in signs]
    return torch.minimum(*shares)


def _sample(
    field: Float[Tensor, "B 2 H W"], points: Float[Tensor, "B P 2"]
) -> Float[Tensor, "B P 2"]:
    grid = points[:, None]
    found = F.grid_sample(field, grid, "bilinear", "border", align_corners=False)
    return found[:, :, 0].mT


def _determinant(first: Tensor, second: Tensor) -> Tensor:
    (a, c), (b, d) = first.unbind(-1), second.unbind(-1)
    return a * d - b * c

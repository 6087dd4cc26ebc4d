"""Flows that are smooth, one-to-one, far from affine, and move by many pixels."""

import torch
from torch import Tensor

from infaug.export.view import View, fields_view
from infaug.transform.fields import Fields
from infaug.transform.spatial import pixel_grid, stretch


def bent_view(num: int, height: int, width: int, lead: tuple[int, ...]) -> View:
    """Views of `num` images: the middle turned by up to 30 degrees, the rim not."""
    grid = pixel_grid(height, width, like=torch.zeros(()))
    angle = torch.linspace(-0.5, 0.5, num)[:, None, None] + 0.02
    angle = angle * torch.exp(-1.5 * grid.square().sum(dim=2))
    x, y = grid.unbind(-1)
    turned = (angle.cos() * x - angle.sin() * y, angle.sin() * x + angle.cos() * y)
    moved = torch.stack(turned, dim=-1) - grid + torch.tensor([0.11, -0.07])
    assert stretch(moved).max() < 0.9
    return fields_view(_fields(moved), lead)


def _fields(moved: Tensor) -> Fields:
    none = moved.new_zeros(len(moved), 4, *moved.shape[1:3])
    offset = moved.permute(0, 3, 1, 2)
    return Fields(none, offset, none[:, :1], none[:, :1])

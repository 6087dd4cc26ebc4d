import math

import pytest
import torch
from torch.nn import functional as F

from infaug.transform.fields import Fields, apply_fields
from infaug.transform.spatial import (
    flow_of,
    pixel_grid,
    spectral_norm,
    stretch,
    warp,
)


def zero_fields(batch: int, channels: int, height: int, width: int) -> Fields:
    def zeros(count: int) -> torch.Tensor:
        return torch.zeros(batch, count, height, width, dtype=torch.float64)

    return Fields(zeros(4), zeros(2), zeros(channels**2), zeros(channels))


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 7, 9), (3, 8, 8)])
def test_zero_fields_are_the_identity(channels, height, width):
    x = torch.rand(2, channels, height, width, dtype=torch.float64)
    out = apply_fields(x, zero_fields(2, channels, height, width), padding="zeros")
    torch.testing.assert_close(out, x, atol=1e-12, rtol=0)


def test_the_grid_is_torchs_with_centres_in_pixels():
    theta = torch.eye(2, 3, dtype=torch.float64)[None]
    expected = F.affine_grid(theta, [1, 1, 5, 6], align_corners=False)[0]
    torch.testing.assert_close(pixel_grid(5, 6, theta), expected)


def test_a_constant_matrix_and_offset_are_an_affine_map():
    theta = torch.tensor([[[0.8, -0.3, 0.1], [0.2, 1.1, -0.4]]], dtype=torch.float64)
    matrix = (theta[:, :, :2] - torch.eye(2)).flatten(1)[:, :, None, None]
    flow = flow_of(
        matrix.expand(-1, -1, 6, 7), theta[:, :, 2, None, None].expand(-1, -1, 6, 7)
    )
    expected = F.affine_grid(theta, [1, 1, 6, 7], align_corners=False)
    torch.testing.assert_close(flow, expected)


def test_a_quarter_turn_moves_every_pixel_to_its_place():
    x = torch.rand(1, 1, 6, 6, dtype=torch.float64)
    # Output (x, y) takes its value from (y, -x): the image turns counter-clockwise.
    cos, sin = math.cos(math.pi / 2), math.sin(math.pi / 2)
    turn = torch.tensor([[cos - 1, -sin, sin, cos - 1]], dtype=torch.float64)
    flow = flow_of(turn[:, :, None, None].expand(-1, -1, 6, 6), torch.zeros(1, 2, 6, 6))
    torch.testing.assert_close(
        warp(x, flow, padding="zeros"), x.rot90(1, dims=(2, 3)), atol=1e-6, rtol=0
    )


def test_the_warped_image_is_differentiable_in_the_fields():
    x = torch.rand(1, 1, 5, 5, dtype=torch.float64)
    fields = zero_fields(1, 1, 5, 5)
    parts = [
        (0.03 * torch.randn_like(f)).requires_grad_()
        for f in (fields.matrix, fields.offset, fields.filter, fields.bias)
    ]
    assert torch.autograd.gradcheck(
        lambda *p: apply_fields(0.3 + 0.3 * x, Fields(*p), padding="border"), parts
    )


def test_the_spectral_norm_is_the_largest_singular_value():
    matrices = torch.randn(50, 2, 2, dtype=torch.float64)
    found = spectral_norm(matrices[:, :, 0], matrices[:, :, 1])
    torch.testing.assert_close(found, torch.linalg.matrix_norm(matrices, ord=2))


def test_stretch_bounds_how_far_the_displacement_of_any_two_points_differs():
    torch.manual_seed(0)
    displacement = torch.randn(3, 6, 9, 2, dtype=torch.float64)
    most = stretch(displacement)
    points = torch.rand(3, 400, 2, dtype=torch.float64) * 1.6 - 0.8
    other = points + 1e-4 * torch.randn_like(points)
    a, b = (
        F.grid_sample(
            displacement.movedim(-1, 1), p[:, :, None], align_corners=False
        ).movedim(1, -1)[:, :, 0]
        for p in (points, other)
    )
    slope = (a - b).norm(dim=-1) / (points - other).norm(dim=-1)
    assert (slope <= most[:, None] * (1 + 1e-6)).all()
    assert (slope.amax(dim=1) > 0.5 * most).all(), "the bound is not idle"


def test_the_stretch_of_an_affine_map_is_the_norm_of_its_matrix():
    matrix = torch.tensor([[0.3, -0.5, 0.2, 0.1]], dtype=torch.float64)
    fields = matrix[:, :, None, None].expand(-1, -1, 5, 8)
    flow = flow_of(fields, torch.zeros(1, 2, 5, 8, dtype=torch.float64))
    expected = torch.linalg.matrix_norm(matrix.view(1, 2, 2), ord=2)
    torch.testing.assert_close(stretch(flow - pixel_grid(5, 8, flow)), expected)

import math

import pytest
import torch
from torch.nn import functional as F

from infaug.estimate.learned_transform import Estimator
from infaug.transform.critics import FlowCritic, ImageCritic
from infaug.transform.fields import Fields, apply_fields, recolour
from infaug.transform.layers import layer_table
from infaug.transform.spatial import flow_of, pixel_grid, spectral_norm, stretch, warp


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


def test_a_constant_filter_is_a_colour_matrix_and_a_bias():
    x = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    matrix, bias = torch.randn(3, 3).double(), torch.randn(3).double()
    ours = recolour(
        x,
        matrix.flatten()[None, :, None, None].expand(2, -1, 4, 4),
        bias[None, :, None, None].expand(2, -1, 4, 4),
    )
    expected = x + torch.einsum("dc,bchw->bdhw", matrix, x) + bias[:, None, None]
    torch.testing.assert_close(ours, expected)


def test_e_and_critics_have_eight_layers_at_224():
    estimator = Estimator(128, 3, 224, 224)
    layers = [estimator.first, *estimator.down]
    assert [m.out_channels for m in layers] == [16, 16, 32, 32, 64, 64, 128]
    assert [m.kernel_size[0] for m in layers] == [7, 4, 4, 4, 4, 4, 4]
    assert [m.stride[0] for m in layers] == [1, 2, 2, 2, 2, 2, 2]
    assert estimator.linear.in_features == 4 * 4 * 128
    assert ImageCritic(3, 224, 224).linear.in_features == 4 * 4 * 128


@pytest.mark.parametrize("size", [(224, 224), (65, 90)])
def test_large_images_of_any_size_pass(size):
    x = torch.rand(1, 3, *size)
    assert Estimator(8, 3, *size)(x).shape == (1, 8)
    assert ImageCritic(3, *size)(x).shape == (1,)
    assert FlowCritic(*size)(torch.rand(1, *size, 2)).shape == (1,)


def test_64_px_and_below_keep_the_appendix_rule():
    assert layer_table(64, 64).widths == (16, 32, 64, 128, 128)
    assert layer_table(64, 64).sizes[-1] == (4, 4)
    assert layer_table(64, 64).first_kernel == 4
    assert layer_table(64, 64).of_fields == layer_table(64, 64)

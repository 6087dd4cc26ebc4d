import torch
from PIL import Image

from infaug.config import TransformConfig
from infaug.estimate.learned_transform import build_transform
from infaug.report.interpolation import appearance, draw_interpolation, interpolate
from infaug.transform.apply import apply_fields
from infaug.transform.spatial import flow_of, warp


def test_taus_lie_evenly_on_the_line_and_end_at_both_given():
    start, end = torch.randn(2, 8)
    taus = interpolate(start, end)
    assert taus.shape == (10, 8)
    assert taus[0].equal(start)
    assert taus[-1].equal(end)
    torch.testing.assert_close(taus.diff(dim=0), ((end - start) / 9).expand(9, 8))


def test_warped_plus_appearance_is_the_final_image():
    transform = build_transform(TransformConfig(tau_size=8), 3, 16, 16, 0)
    x = torch.rand(4, 3, 16, 16)
    with torch.no_grad():
        fields = transform.generator(torch.randn(4, 8))
        warped = warp(x, flow_of(fields.matrix, fields.offset), padding="zeros")
        final = apply_fields(x, fields, padding="zeros")
        change = appearance(warped, fields)
    assert change.abs().max() > 0.01
    torch.testing.assert_close((warped + change).clamp(0, 1), final)


def test_grey_and_colour_images_are_drawn_ten_wide(tmp_path):
    for channels in (1, 3):
        transform = build_transform(TransformConfig(tau_size=8), channels, 16, 16, 0)
        path = tmp_path / f"{channels}.png"
        tau = torch.ones(8)
        image = torch.rand(channels, 16, 16)
        draw_interpolation(transform, image, -tau, tau, path, title="a row")
        with Image.open(path) as picture:
            assert picture.width > 1.5 * picture.height

import torch
from PIL import Image

from infaug.config import TransformConfig
from infaug.estimate.learned_transform import build_transform
from infaug.report.interpolation import appearance, draw_interpolation, interpolate
from infaug.transform.fields import apply_fields
from infaug.transform.spatial import flow_of, warp


def test_taus_go_from_one_draw_to_the_other_and_each_is_as_long_as_a_draw():
    centre, start, end = torch.randn(3, 1000)
    taus = interpolate(centre, start, end)
    assert taus.shape == (10, 1000)
    torch.testing.assert_close(taus[0], centre + start)
    torch.testing.assert_close(taus[-1], centre + end)
    spread = (taus - centre).square().mean(dim=1).sqrt()
    # 1000 numbers: the spread of a draw is 1 +- 0.02.
    assert (spread - 1).abs().max() < 0.1


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
        taus = torch.randn(10, 8)
        image = torch.rand(channels, 16, 16)
        draw_interpolation(transform, image, taus, path, title="a row")
        with Image.open(path) as picture:
            assert picture.width > 1.5 * picture.height

"""Pictures that commands write: previews and interpolations."""

import pytest
import torch
from finished import finished_run
from PIL import Image

from infaug.cli.main import main
from infaug.config import TransformConfig
from infaug.estimate.learned_transform import build_transform
from infaug.report.views import appearance, draw_interpolation, interpolate
from infaug.transform.fields import apply_fields
from infaug.transform.spatial import flow_of, warp


@pytest.fixture(scope="module")
def rgb_run(tmp_path_factory):
    return finished_run(tmp_path_factory.mktemp("preview") / "run-rgb", channels=3)


@pytest.fixture
def images(tmp_path):
    """Images of several sizes and modes, one of them broken."""
    folder = tmp_path / "pets"
    (folder / "cats").mkdir(parents=True)
    for k, (mode, size) in enumerate(
        [("RGB", (16, 16)), ("L", (40, 30)), ("P", (9, 20))]
    ):
        Image.new(mode, size, 100).save(folder / "cats" / f"{k}.png")
    (folder / "broken.jpg").write_bytes(b"no image")
    return folder


def test_a_folder_is_drawn_through_a_run_and_what_is_broken_left_out(
    rgb_run, images, tmp_path, capsys
):
    out = tmp_path / "grid.png"
    assert main(["preview", str(rgb_run), str(images), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "wrote" in said.out
    assert "broken.jpg cannot be read" in said.err
    with Image.open(out) as picture:
        assert picture.height > picture.width > 300


def test_equal_seeds_draw_equal_pictures_through_an_export(
    rgb_run, images, tmp_path, capsys
):
    torch.manual_seed(0)
    folder = tmp_path / "export"
    command = ["export", str(rgb_run), "--formats", "safetensors"]
    assert main([*command, "--out", str(folder)]) == 0
    file = str(images / "cats" / "0.png")
    drawn = {}
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        out = tmp_path / f"{name}.png"
        more = ["--out", str(out), "--seed", seed, "--views", "1"]
        assert main(["preview", str(folder), file, *more]) == 0
        drawn[name] = out.read_bytes()
    assert drawn["a"] == drawn["b"]
    assert drawn["a"] != drawn["c"]


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


def test_an_interpolation_is_drawn_ten_wide(tmp_path):
    transform = build_transform(TransformConfig(tau_size=8), 3, 16, 16, 0)
    path, taus, image = tmp_path / "x.png", torch.randn(10, 8), torch.rand(3, 16, 16)
    draw_interpolation(transform, image, taus, path, title="a method")
    with Image.open(path) as picture_:
        assert picture_.width > 1.5 * picture_.height

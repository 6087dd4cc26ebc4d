"""The size and mode chosen from headers, where images differ and nobody has said."""

from dataclasses import replace

import pytest
from reading import flat, write_images, write_rows

from infaug.config import DataConfig
from infaug.data.source import load
from infaug.data.survey import resolve_images


@pytest.fixture
def resolved(tmp_path):
    def resolve(*images, **settings):
        """Images of two classes, in turn."""
        files = {f"{'ab'[k % 2]}/{k}.png": image for k, image in enumerate(images)}
        source = write_images(tmp_path / "set", files)
        return resolve_images(DataConfig(source=source, **settings))

    return resolve


def test_different_sizes_get_the_usual_size_below_the_middle_one(resolved):
    sizes = [(30, 20), (41, 35), (90, 70), (50, 36)]
    config, told = resolved(*(flat(1, size=size) for size in sizes))
    assert config.image_size == 32
    assert "32x32: images are 30x20 to 90x70 pixels, the shorter side 35" in told[0]
    assert "--data.image-size decides" in told[0]
    assert load(config).train.image_shape == (1, 32, 32)


@pytest.mark.parametrize(
    ("modes", "chosen"),
    [("L RGB", "RGB"), ("LA L", "L"), ("RGBA RGBA", "RGB"), ("1 1", "L"),
     ("P L", "RGB"), ("L L", "auto"), ("RGB RGB", "auto")],
)  # fmt: skip
def test_the_mode_is_grey_only_if_all_images_are(resolved, modes, chosen):
    images = [flat(1).convert(mode) for mode in modes.split()]
    config, told = resolved(*images)
    assert config.mode == chosen
    assert bool(told) == (chosen != "auto")
    load(config)


def test_what_the_user_says_stays(resolved):
    images = flat(1, size=(8, 8)), flat(2, size=(40, 40), mode="RGB")
    config, told = resolved(*images, image_size=16, mode="L")
    assert (config.image_size, config.mode, told) == (16, "L", [])


def test_target_images_of_another_size_count(resolved, tmp_path):
    config, _ = resolved(flat(1, size=(24, 24)), flat(2, size=(24, 24)))
    files = {f"{c}/{k}.png": flat(k, size=(30, 40)) for c in "ab" for k in range(3)}
    config = replace(config, target_source=write_images(tmp_path / "new", files))
    assert resolve_images(config)[0].image_size == 28


def test_too_many_images_for_memory_get_a_size(tmp_path):
    images = [flat(k, size=(40, 40)) for k in range(4)]
    path = write_rows(tmp_path / "a.parquet", [0, 1, 0, 1], images)
    config, _ = resolve_images(DataConfig(source=path, stream_above_gib=0))
    assert config.image_size == 40


def test_files_without_a_header_do_not_stop_it(resolved):
    config, _ = resolved(flat(1), flat(2), b"no image", flat(3, size=(9, 9)))
    assert config.image_size == 8


def test_pretrained_weights_see_no_smaller_images_than_they_know(tmp_path):
    files = {f"{c}/{k}.png": flat(k, size=(28, 28)) for c in "ab" for k in range(3)}
    config = DataConfig(source=write_images(tmp_path, files))
    assert resolve_images(config) == (config, []), "images that are alike stay"
    grown, (said,) = resolve_images(config, max_size=224, min_size=128)
    assert grown.image_size == 128
    assert "at least 128 px for pretrained weights" in said

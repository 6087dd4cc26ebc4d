"""Images made smaller, format by format and mode by mode."""

import io

import numpy as np
import pytest
from PIL import Image
from reading import encoded

from infaug.data.shard_file import checked


def ramp(size=(40, 20), mode="RGB") -> Image.Image:
    row = np.linspace(0, 255, size[0]).astype(np.uint8)
    return Image.fromarray(np.tile(row, (size[1], 1))).convert(mode)


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_bytes_are_kept_where_nothing_is_to_be_shrunk(kind):
    content = encoded(ramp(), kind)
    for shorter_side in (None, 20, 25):
        assert checked(content, shorter_side) is content


@pytest.mark.parametrize("size", [(40, 20), (20, 40), (41, 20), (20, 20)])
def test_the_shorter_side_is_what_was_asked_and_the_shape_is_kept(size):
    small = opened(checked(encoded(ramp(size), "PNG"), 10))
    assert min(small.size) == 10
    assert max(small.size) == round(max(size) / 2)


@pytest.mark.parametrize(
    ("kind", "becomes"), [("JPEG", "JPEG"), ("PNG", "PNG"), ("BMP", "PNG")]
)
def test_jpeg_stays_jpeg_and_the_others_become_png(kind, becomes):
    assert opened(checked(encoded(ramp(), kind), 10)).format == becomes


@pytest.mark.parametrize(
    ("mode", "kind", "becomes"),
    [
        ("L", "PNG", "L"),
        ("LA", "PNG", "LA"),
        ("RGBA", "PNG", "RGBA"),
        ("P", "PNG", "RGB"),
        ("1", "PNG", "L"),
        ("CMYK", "JPEG", "CMYK"),
        ("CMYK", "TIFF", "RGB"),
    ],
)
def test_every_mode_is_averaged_not_picked(mode, kind, becomes):
    small = opened(checked(encoded(ramp(mode=mode), kind), 10))
    assert small.mode == becomes
    grey = np.asarray(small.convert("L")).astype(int)
    assert grey[5, 1] < 60 < 190 < grey[5, -2]


def test_sixteen_bits_stay_sixteen():
    wide = Image.fromarray(np.asarray(ramp(mode="L")).astype(np.uint16) * 257)
    small = opened(checked(encoded(wide, "PNG"), 10))
    assert np.asarray(small).max() > 60_000


def test_an_image_is_turned_as_its_exif_says_before_it_loses_it():
    exif = Image.Exif()
    exif[274] = 6
    sideways = ramp((40, 20)).transpose(Image.Transpose.ROTATE_90)
    small = opened(checked(encoded(sideways, exif=exif), 10))
    assert (small.size, small.getexif().get(274, 1)) == ((20, 10), 1)
    grey = np.asarray(small.convert("L")).astype(int)
    assert grey[5, 1] < 60 < 190 < grey[5, -2]


def test_a_cut_image_is_unreadable():
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    for kind in ("PNG", "JPEG"):
        content = encoded(Image.fromarray(noise), kind)
        with pytest.raises(OSError, match=r"truncated|broken"):
            checked(content[: len(content) // 2], None)

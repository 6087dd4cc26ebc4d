"""What one image may be, and what is said when it is not."""

import numpy as np
import pytest
from PIL import Image
from reading import encoded, flat

from infaug.config import DataConfig
from infaug.data.decode import Decoder, Encoded


def read(images, **settings):
    decoder = Decoder(DataConfig(**settings))
    items = [
        Encoded(f"item {i}", encoded(x) if isinstance(x, Image.Image) else x, i)
        for i, x in enumerate(images)
    ]
    images, labels, _ = decoder.read(items)
    return images, labels, decoder.bad


GREY = flat(7)
COLOUR = Image.new("RGB", (8, 8), (1, 2, 3))


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_come_out_unchanged_and_channels_first(channels):
    shape = (5, 4, channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    images, labels, bad = read([Image.fromarray(pixels.squeeze())] * 2)
    assert images.shape == (2, channels, 5, 4)
    assert (images[1].numpy() == pixels.transpose(2, 0, 1)).all()
    assert labels.tolist() == [0, 1]
    assert bad == []


def test_a_mode_converts_all_images():
    images, _, _ = read([GREY, COLOUR], mode="RGB")
    assert images[:, :, 0, 0].tolist() == [[7, 7, 7], [1, 2, 3]]
    assert read([GREY, COLOUR], mode="L")[0].shape == (2, 1, 8, 8)


def test_an_image_size_cuts_out_the_centre_square():
    wide = Image.new("RGB", (48, 16), (255, 0, 0))
    wide.paste((0, 255, 0), (16, 0, 32, 16))
    images, _, _ = read([wide, COLOUR], image_size=8)
    assert images.shape == (2, 3, 8, 8)
    assert images[0, 1, 2:6, 2:6].unique().tolist() == [255]
    assert images[0, 0, 2:6, 2:6].unique().tolist() == [0]


def test_images_of_mixed_size_are_refused_with_the_first_two():
    large = Image.new("L", (9, 8))
    with pytest.raises(
        ValueError, match=r"item 0 is 8x8, item 2 is 9x8.*image-size 64"
    ):
        read([GREY, GREY, large])


def test_images_of_mixed_mode_are_refused_with_the_first_two():
    with pytest.raises(
        ValueError, match=r"item 0 is L, item 1 is RGB.*--color-mode RGB"
    ):
        read([GREY, COLOUR])


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA", "1", "I;16"])
def test_other_modes_need_a_choice(mode):
    odd = GREY.convert(mode)
    with pytest.raises(ValueError, match=r"item 0 has mode .*--color-mode RGB"):
        read([odd])
    assert read([odd], mode="RGB")[0].shape == (1, 3, 8, 8)


def bad_kinds():
    whole = encoded(Image.effect_noise((64, 64), 90))
    return {
        "not an image": b"hello",
        "empty": b"",
        "truncated": whole[: len(whole) // 2],
        "missing": None,
        "float pixels": encoded(Image.new("F", (8, 8)), "TIFF"),
    }


@pytest.mark.parametrize("kind", bad_kinds())
def test_an_unreadable_image_is_named_with_the_remedy(kind):
    with pytest.raises(ValueError, match=r"item 1 cannot be read.*max-bad-images 1"):
        read([GREY, bad_kinds()[kind]], mode="L")


def test_unreadable_images_within_the_limit_are_skipped_and_listed():
    images, labels, bad = read([GREY, b"?", GREY, None], max_bad_images=2)
    assert len(images) == 2
    assert labels.tolist() == [0, 2]
    assert [line.split(" cannot")[0] for line in bad] == ["item 1", "item 3"]


def test_one_unreadable_image_too_many_is_an_error():
    with pytest.raises(ValueError, match=r"item 2.*so far: 2.*max-bad-images 2"):
        read([GREY, b"?", b"?"], max_bad_images=1)


def test_no_readable_image_is_an_error():
    with pytest.raises(ValueError, match="without a readable image"):
        read([b"?"], max_bad_images=1)

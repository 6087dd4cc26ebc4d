"""Decoding on a device, here the CPU: the same images but for rounding."""

from dataclasses import replace

import numpy as np
import pytest
import reading
import torch
from PIL import Image
from reading import write_rows

from infaug.config import DataConfig
from infaug.data.crops import Crop, decode_on_device
from infaug.data.decode import Encoded, channels_first, open_image
from infaug.data.loader import EncodedChunk, Reader
from infaug.data.on_disk import OnDisk
from infaug.data.source import load
from infaug.data.stream import Stream

CPU = torch.device("cpu")
ORIENTATION = 0x0112
CROPS: tuple[Crop, ...] = ("random", "centre")


def waves(size=(90, 60)) -> Image.Image:
    """A smooth image that looks different everywhere."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    planes = [np.sin(x / 9 + k) * np.cos(y / 7 - k) for k in range(3)]
    return Image.fromarray((127 + 120 * np.stack(planes, axis=2)).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "JPEG", **options) -> Encoded:
    return Encoded("an image", reading.encoded(image, kind, **options), 0)


def turned() -> Encoded:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return encoded(waves(), exif=exif)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("share", [1.0, 0.875])
def test_crops_on_a_device_look_like_those_of_pillow(mode, share):
    reader = Reader(groups=(), size=32, mode=mode, centre_crop=share)
    numbers = torch.rand(6, 2, 5, generator=torch.Generator().manual_seed(0))
    chunk = EncodedChunk(0, [encoded(waves(), quality=95)] * 6, numbers)
    expected = reader.decode(chunk, CROPS).images.float()
    found = replace(reader, device=CPU).decode(chunk, CROPS).images.float()
    assert found.shape == expected.shape
    # Boxes are of whole pixels here: by half a pixel in 60, of waves of 40 pixels.
    assert (found - expected).abs().mean() < 6
    assert (found.flip(-1) - expected).abs().mean() > 20


@pytest.mark.parametrize(
    "item",
    [
        turned(),
        encoded(waves(), "PNG"),
        encoded(waves().convert("CMYK")),
        encoded(waves().convert("RGBA"), "WEBP", lossless=True),
    ],
)
def test_what_is_no_plain_jpeg_comes_from_pillow_to_the_byte(item):
    (found, _) = decode_on_device([item, encoded(waves())], "RGB", None, CPU)
    assert found.numpy().tolist() == channels_first(open_image(item, "RGB")).tolist()


def test_a_damaged_jpeg_is_named():
    whole = encoded(waves())
    cut = Encoded("row 7", whole.image[: len(whole.image) // 2], 0)
    with pytest.raises(ValueError, match="row 7 cannot be read"):
        decode_on_device([whole, cut], "RGB", None, CPU)


@pytest.fixture
def stored(tmp_path) -> OnDisk:
    images = [encoded(waves((40 + k, 40)), quality=95).image for k in range(24)]
    write_rows(tmp_path / "set" / "train.parquet", [k % 3 for k in range(24)], images)
    config = DataConfig(
        source=str(tmp_path / "set"), image_size=16, stream_above_gib=0, target=6,
        test=6, decode="device",
    )  # fmt: skip
    train = load(config).train
    assert isinstance(train, OnDisk)
    return train


def stream(images: OnDisk) -> Stream:
    return Stream(images, 4, 2, range(2), "cpu", CROPS, 0, "t")


def test_without_a_gpu_it_is_refused_with_the_remedy(stored):
    with pytest.raises(ValueError, match=r"needs a GPU.*--data\.decode cpu"):
        stream(stored)


def test_a_stream_has_the_same_images_in_the_same_order(stored):
    by_pillow = stream(replace(stored, on_device=False))
    reader = replace(stored.reader, device=CPU)
    on_device = stream(replace(stored, on_device=False, reader=reader))
    for step in range(5):
        expected, found = by_pillow.at(step), on_device.at(step)
        assert found.y.equal(expected.y)
        assert (found.x - expected.x).abs().mean() < 0.05


def test_images_that_are_held_are_decoded_by_pillow(stored):
    by_pillow = replace(stored, on_device=False)
    assert stored.select_all().images.equal(by_pillow.select_all().images)

"""Inputs that were always read right, kept so."""

import io
import struct
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from reading import read

CLASSES = ("cat", "dog")


def values(part):
    return part.images[:, 0, 0, 0].tolist()


def encoded(image, kind="PNG"):
    buffer = io.BytesIO()
    image.save(buffer, format=kind)
    return buffer.getvalue()


def test_images_of_one_pixel_and_of_one_line(tmp_path, write_images, image):
    sizes = ((1, 1), (10_000, 10), (10, 10_000), (8, 8))
    files = {f"{c}/{k}.png": image(40 * k, size=size) for c in CLASSES
             for k, size in enumerate(sizes)}  # fmt: skip
    train = read(write_images(tmp_path, files)).train
    assert train.image_shape == (1, 9, 9), "shorter sides are 1, 8, 10 and 10"
    assert values(train) == [0, 40, 80, 120] * 2


def test_an_image_of_many_megapixels(tmp_path, write_images, image):
    large = image(200, size=(14_000, 14_000))
    files = {"cat/1.png": large, "dog/1.png": image(9)}
    train = read(write_images(tmp_path, files), image_size=8).train
    assert values(train) == [200, 9]


def deep_colour(red):
    """A PNG of 16 bits a channel, which Pillow cannot write."""
    pixel = struct.pack(">HHH", red, 0x7F80, 0xFFFF)
    rows = b"".join(b"\0" + pixel * 8 for _ in range(8))
    parts = {b"IHDR": struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)}
    parts |= {b"IDAT": zlib.compress(rows), b"IEND": b""}
    chunks = [
        struct.pack(">I", len(data)) + kind + data
        + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts.items()
    ]  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_colour_of_sixteen_bits(tmp_path, write_images):
    files = {"cat/1.png": deep_colour(0x10FF), "dog/1.png": deep_colour(0x8000)}
    train = read(write_images(tmp_path, files)).train
    assert train.images[:, :, 0, 0].tolist() == [[0x10, 0x7F, 0xFF], [0x80, 0x7F, 0xFF]]


def test_grey_mixed_with_colour(tmp_path, write_images, image):
    files = {"cat/1.png": image(7), "dog/1.png": image(9, mode="RGB")}
    train = read(write_images(tmp_path, files)).train
    assert train.images[:, :, 0, 0].tolist() == [[7] * 3, [9] * 3]


def test_files_named_for_another_format(tmp_path, write_images, image):
    jpeg = encoded(image(50, mode="RGB"), "JPEG")
    files = {"cat/1.png": jpeg, "dog/1.jpg": encoded(image(60, mode="RGB"))}
    assert values(read(write_images(tmp_path, files)).train) == [50, 60]


ODD = ("50% off", "#1", "it's [x]", "a*b?", "naïve 日本", "-r", "tab\there", "a..b")


def test_odd_names_of_classes_and_files(tmp_path, write_images, image):
    files = {f"{name}/{name} {k}.png": image(10 * i + k)
             for i, name in enumerate(sorted(ODD)) for k in range(2)}  # fmt: skip
    train = read(write_images(tmp_path / "a b%20[c]#d", files)).train
    assert train.class_names == tuple(sorted(ODD))
    assert values(train) == [10 * i + k for i in range(len(ODD)) for k in range(2)]


def test_odd_names_in_a_table(tmp_path, write_images, image):
    names = ('a, "b".png', "50% #1.png", "e\u0301 日本.png")
    write_images(tmp_path, {name: image(k) for k, name in enumerate(names)})
    cells = ('"a, ""b"".png",cat', "50% #1.png,dog", "e\u0301 日本.png,dog")
    (tmp_path / "a.csv").write_text("\n".join(["path,label", *cells]))
    assert values(read(tmp_path / "a.csv").train) == [0, 1, 2]


def test_links_that_lead_to_images(tmp_path, write_images, image):
    write_images(tmp_path / "far", {"1.png": image(1), "2/2.png": image(2)})
    (tmp_path / "set/cat").mkdir(parents=True)
    (tmp_path / "set/cat/link.png").symlink_to(tmp_path / "far/1.png")
    (tmp_path / "set/dog").symlink_to(tmp_path / "far/2")
    assert values(read(tmp_path / "set").train) == [1, 2]


@pytest.mark.parametrize("label", [pa.int8(), pa.uint64(), pa.float32(), pa.string()])
@pytest.mark.parametrize("image", [pa.binary(), pa.large_binary()])
def test_columns_of_any_type(tmp_path, label, image):
    rows = [encoded(Image.new("L", (8, 8), k)) for k in range(4)]
    labels = pa.array([0, 1, 1, 0]).cast(label)
    table = pa.table({"image": pa.array(rows, image), "label": labels})
    pq.write_table(table, tmp_path / "a.parquet")
    train = read(tmp_path / "a.parquet").train
    assert (train.class_names, train.labels.tolist()) == (("0", "1"), [0, 1, 1, 0])


def test_shards_without_rows(tmp_path, write_rows):
    write_rows(tmp_path / "train-0.parquet", [0, 1])
    empty = pq.read_table(tmp_path / "train-0.parquet").slice(0, 0)
    pq.write_table(empty, tmp_path / "train-1.parquet")
    write_rows(tmp_path / "train-2.parquet", [1, 0])
    assert read(tmp_path).train.labels.tolist() == [0, 1, 1, 0]


def test_a_thousand_classes(tmp_path, write_rows, image):
    names = [f"n{k:04d}" for k in range(1000)]
    labels = [(7 * k) % 1000 for k in range(1000)]
    images = [encoded(image(5))] * 1000
    path = write_rows(tmp_path / "a.parquet", labels, images, names=names)
    train = read(path).train
    assert (train.class_names, train.labels.tolist()) == (tuple(names), labels)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)])
def test_pixels_come_out_as_they_are(tmp_path, write_images, shape):
    noise = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)
    files = {
        f"{c}/1.png": Image.fromarray(x) for c, x in zip(CLASSES, noise, strict=True)
    }
    images = read(write_images(tmp_path, files)).train.images
    images = images.permute(0, 2, 3, 1).squeeze(-1) if len(shape) == 3 else images[:, 0]
    assert (images.numpy() == noise).all()

"""Files and pixels of sets from the world, each with its right value.

Many were reported to the trackers of other projects: a comment says where.
"""

import io
import struct
import tarfile
import zlib

import numpy as np
import pytest
from PIL import Image
from reading import CLASSES, class_folders, encoded, flat, read, values, write_images

from infaug.config import DataConfig
from infaug.data.problem import positions
from infaug.data.source import load
from infaug.data.survey import resolve_images

pytestmark = pytest.mark.filterwarnings("ignore")


def test_what_can_be_read_is_and_the_rest_is_listed(tmp_path):
    jpeg, avif = (
        encoded(flat(k, mode="RGB"), kind) for k, kind in ((3, "JPEG"), (4, "AVIF"))
    )
    files = {f"{c}/{k}.png": flat(k, mode="RGB") for c in CLASSES for k in (1,)}
    files |= {"cat/a/b/2.png": flat(2, mode="RGB"), "cat/3.jfif": jpeg}
    files |= {"dog/4.avif": avif, "dog/5.HEIC": b"?", "6.png": flat()}
    # tensorflow/tensorflow#46595, hako-mikan/sd-webui-traintrain#26
    left = ("dog/@eaDir/4.png", "__MACOSX/dog/._4.png", "cat/Thumbs.db",
            ".ipynb_checkpoints/1.png", "cat/.ipynb_checkpoints/0.png",
            "dog/desktop.ini")  # fmt: skip
    files |= {"a.txt": b""} | dict.fromkeys(left, b"?")
    source = load(DataConfig(source=write_images(tmp_path, files)))
    assert source.train.class_names == CLASSES
    assert source.train.labels.tolist() == [0, 0, 0, 1, 1]
    assert sorted(source.notes) == [
        "nested     1 image in folders of a class folder, taken as of that class",
        "skipped    1 file (.txt, not an image): a.txt",
        "skipped    1 file (convert .heic to JPEG or PNG first): dog/5.HEIC",
        "skipped    1 file (in no class folder): 6.png",
    ]


def test_a_run_in_its_data_is_no_class(animals, tmp_path):
    run = tmp_path / "data" / "runs" / "1"
    (run / "figures").mkdir(parents=True)
    for name in ("config.json", "data.json"):
        (run / name).write_text("{}")
    Image.new("L", (8, 8)).save(run / "figures" / "loss.png")
    source = load(DataConfig(source=animals))
    assert source.train.class_names == ("cat", "dog", "frog")


ODD = ("50% off", "#1", "it's [x]", "a*b?", "naïve 日本", "-r", "tab\there", "a..b")


def test_odd_names_of_classes_and_files(tmp_path):
    files = {f"{name}/{name} {k}.png": flat(10 * i + k)
             for i, name in enumerate(sorted(ODD)) for k in range(2)}  # fmt: skip
    train = read(write_images(tmp_path / "a b%20[c]#d", files)).train
    assert train.class_names == tuple(sorted(ODD))
    assert values(train) == [10 * i + k for i in range(len(ODD)) for k in range(2)]


@pytest.mark.parametrize(
    ("files", "remedy"),
    [
        ({"a.arrow": b"ARROW1"}, "to_parquet"),  # a data set saved to disk
        ({"0000.tar": b""}, "WebDataset is not read"),
        ({"train/a/1.heic": b""}, "JPEG or PNG"),
        ({"a/image1": b""}, "no ending"),
    ],
)
def test_what_is_not_read_is_named_with_the_remedy(tmp_path, files, remedy):
    with pytest.raises(ValueError, match=f"neither Parquet nor [^~]*{remedy}"):
        read(write_images(tmp_path, files))


@pytest.mark.parametrize("above", ["", "train/"])
def test_a_webdataset_is_listed_with_the_reason(tmp_path, above):
    path = tmp_path / "shard-000.tar"
    with tarfile.open(path, "w") as tar:
        for k in range(4):
            for suffix, content in (("png", encoded(flat(k))), ("cls", b"1")):
                entry = tarfile.TarInfo(f"{above}{k:05d}.{suffix}")
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    with pytest.raises(ValueError, match=r"WebDataset is not read: unpack it to class"):
        read(path)


def test_a_page_saved_as_an_image_is_named(tmp_path):
    files = class_folders() | {"cat/9.jpg": b"<!DOCTYPE html>404"}
    with pytest.raises(ValueError, match=r"cat/9\.jpg cannot be read \(not an image"):
        read(write_images(tmp_path, files))


# Kinds of images.


def test_rare_kinds_of_images_are_read(tmp_path):
    # keras-team/keras#17013, #17182, tensorflow/tensorflow#50366, Hamuko/cum#37
    kinds = {"jpe": "JPEG", "jp2": "JPEG2000", "tga": "TGA", "webp": "WEBP",
             "ppm": "PPM", "bmp": "BMP", "TIF": "TIFF", "JPG": "JPEG"}  # fmt: skip
    files = {f"{c}/1.{suffix}": encoded(flat(9, "RGB"), kind)
             for suffix, kind in kinds.items() for c in CLASSES}  # fmt: skip
    assert values(read(write_images(tmp_path, files)).train) == [9] * 16


@pytest.mark.parametrize("kind", ["WEBP", "PNG", "GIF", "TIFF", "MPO"])
def test_of_several_frames_the_first_is_read(tmp_path, kind):
    # python-pillow/Pillow#1138
    two = {"save_all": True, "append_images": [flat(200, "RGB")]}
    two |= {"lossless": True} if kind == "WEBP" else {}
    suffix = {"MPO": "jpg"}.get(kind, kind.lower())
    files = {f"{c}/1.{suffix}": encoded(flat(50, "RGB"), kind, **two) for c in CLASSES}
    assert values(read(write_images(tmp_path, files)).train) == [50, 50]


def test_files_named_for_another_format(tmp_path):
    jpeg = encoded(flat(50, mode="RGB"), "JPEG")
    files = {"cat/1.png": jpeg, "dog/1.jpg": encoded(flat(60, mode="RGB"))}
    assert values(read(write_images(tmp_path, files)).train) == [50, 60]


def test_images_of_one_pixel_and_of_one_line(tmp_path):
    sizes = ((1, 1), (10_000, 10), (10, 10_000), (8, 8))
    files = {f"{c}/{k}.png": flat(40 * k, size=size) for c in CLASSES
             for k, size in enumerate(sizes)}  # fmt: skip
    train = read(write_images(tmp_path, files)).train
    assert train.image_shape == (1, 9, 9), "shorter sides are 1, 8, 10 and 10"
    assert values(train) == [0, 40, 80, 120] * 2


def test_an_image_of_many_megapixels(tmp_path):
    large = flat(200, size=(14_000, 14_000))
    files = {"cat/1.png": large, "dog/1.png": flat(9)}
    train = read(write_images(tmp_path, files), image_size=8).train
    assert values(train) == [200, 9]


def test_exif_orientation_is_applied_and_counted(tmp_path):
    upright = Image.new("RGB", (12, 8), (0, 0, 0))
    upright.paste((255, 255, 255), (0, 0, 6, 8))
    sideways, exif = upright.transpose(Image.Transpose.ROTATE_90), Image.Exif()
    exif[274] = 6
    files = {"cat/1.png": upright, "dog/1.png": encoded(sideways, exif=exif)}
    config, _ = resolve_images(DataConfig(source=write_images(tmp_path, files)))
    source = load(config)
    assert config.image_size is None, "both are 12x8 to a viewer"
    assert source.train.images[0].equal(source.train.images[1])
    assert source.notes == ("turned     1 image as their EXIF orientation says",)


# Pixels.


def test_cmyk_is_read_as_its_colours(tmp_path):
    red = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100)
    train = read(write_images(tmp_path, {f"{c}/1.jpg": red for c in CLASSES})).train
    assert train.images[0, :, 0, 0].sub(train.images.new_tensor([254, 0, 0])).max() < 3


def test_what_lies_under_transparent_pixels_is_not_seen(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 4), dtype=np.uint8)
    noise[..., 3] = 0
    files = {f"{c}/1.png": Image.fromarray(noise) for c in CLASSES}
    config, _ = resolve_images(DataConfig(source=write_images(tmp_path, files)))
    source = load(config)
    assert source.train.images.unique().tolist() == [255]
    assert source.notes[0].startswith("composited 2 images on white")


def test_a_palette_with_transparency_in_bytes_is_composited(tmp_path):
    # imageio/imageio#475, NVIDIA/DIGITS#85: black where it is transparent
    image = Image.new("P", (8, 8), 0)
    image.putpalette([0, 0, 0, 200, 200, 200] + [0] * 762)
    image.paste(1, (4, 0, 8, 8))
    content = encoded(image, transparency=bytes([0, 255]))
    train = read(write_images(tmp_path, {f"{c}/1.png": content for c in CLASSES})).train
    assert train.images[0, 0, 0].tolist() == [255] * 4 + [200] * 4


def test_images_that_are_all_black_are_named(tmp_path):
    files = {f"{c}/{k}.png": flat(0) for c in CLASSES for k in range(9)}
    config = DataConfig(
        source=write_images(tmp_path, files), target=4, test=2, drop_duplicates=True
    )
    with pytest.raises(ValueError, match=r"same pixels.*not black or damaged"):
        positions(load(config), config)


# More than eight bits.


def deep(value):
    return Image.fromarray(np.full((8, 8), value, dtype=np.uint16))


@pytest.mark.parametrize("kind", ["16-bit PNG", "int32 TIFF"])
def test_deep_grey_is_scaled_from_the_range_of_the_set(tmp_path, kind):
    def stored(value):
        if kind == "16-bit PNG":
            return deep(value)
        return encoded(Image.fromarray(np.full((8, 8), value, dtype=np.int32)), "TIFF")

    suffix = "png" if kind == "16-bit PNG" else "tif"
    brightness = {"cat": 0, "dog": 2048, "frog": 4095}
    files = {f"{name}/1.{suffix}": stored(v) for name, v in brightness.items()}
    config, told = resolve_images(DataConfig(source=write_images(tmp_path, files)))
    assert config.pixel_bits == 12
    assert "values up to 4,095: taken as 12 bits" in told[0]
    source = load(config)
    assert values(source.train) == [0, 128, 255]
    assert source.notes == ("rescaled   3 images to 8 bits, for they have more",)


def test_small_counts_in_sixteen_bits_stay_apart(tmp_path):
    files = {f"{c}/{k}.png": deep(3 * k) for c in CLASSES for k in (0, 1)}
    config, _ = resolve_images(DataConfig(source=write_images(tmp_path, files)))
    assert values(load(config).train) == [0, 3, 0, 3]


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_tiffs_are_scaled(tmp_path, order):
    # python-pillow/Pillow#274, #1108: clipped at 255
    def tiff(value):
        raw = np.full((8, 8), value, dtype=f"{order}u2").tobytes()
        mode = "I;16" if order == "<" else "I;16B"
        return encoded(Image.frombytes(mode, (8, 8), raw), "TIFF")

    files = {"cat/1.tif": tiff(0x8000), "dog/1.tif": tiff(0xFFFF)}
    assert values(read(write_images(tmp_path, files)).train) == [128, 255]


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


def test_colour_of_sixteen_bits(tmp_path):
    files = {"cat/1.png": deep_colour(0x10FF), "dog/1.png": deep_colour(0x8000)}
    train = read(write_images(tmp_path, files)).train
    assert train.images[:, :, 0, 0].tolist() == [[0x10, 0x7F, 0xFF], [0x80, 0x7F, 0xFF]]


@pytest.mark.parametrize(("value", "kind"), [(-1000, np.int32), (0.5, np.float32)])
def test_pixels_of_no_known_range_are_refused(tmp_path, value, kind):
    # keras-team/keras-preprocessing#19; CT images were black below 0
    image = encoded(Image.fromarray(np.full((8, 8), value, dtype=kind)), "TIFF")
    with pytest.raises(ValueError, match="no known range; store 8 bits"):
        read(write_images(tmp_path, {f"{c}/1.tif": image for c in CLASSES}))

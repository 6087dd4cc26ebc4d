"""Inputs that people reported to the trackers of other projects, read rightly here.

The link says where; a tuple of names and labels is what is expected, a text the error.
"""

import io
import json
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from reading import read

CLASSES = ("cat", "dog")


def encoded(image, kind="PNG", **settings):
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **settings)
    return buffer.getvalue()


def flat(value, mode="L"):
    return Image.new(mode, (8, 8), value if mode == "L" else (value,) * 3)


def class_folders(above="", first=0):
    """Two images of each class, of values from `first` on."""
    return {
        f"{above}{name}/{k}.png": flat(first + 10 * i + k)
        for i, name in enumerate(CLASSES)
        for k in range(2)
    }


def hub_rows(labels, *, images=None, names=None):
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    images = images or [{"bytes": encoded(flat(k))} for k in range(len(labels))]
    table = pa.table({"image": pa.array(images, kind), "label": labels})
    if names:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        about = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": about})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def values(part):
    return part.images[:, 0, 0, 0].tolist()


# Splits.


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set/", "test_set/"),
        ("seg_train/seg_train/", "seg_test/seg_test/"),
        ("train-2023/", "test-2023/"),
        ("birds/Train_Images/", "birds/Test_Images/"),
    ],
)
def test_words_in_names_of_folders_say_the_split(tmp_path, write_images, train, test):
    # pytorch/vision#613, huggingface/datasets#7880
    files = class_folders(train) | class_folders(test, first=40)
    source = read(write_images(tmp_path, files))
    assert source.train.class_names == CLASSES
    assert values(source.train) == [0, 1, 10, 11]
    assert values(source.test) == [40, 41, 50, 51]


def test_classes_whose_names_have_words_of_splits_stay_classes(tmp_path, write_images):
    # huggingface/datasets#5021
    names = ("train station", "test tube", "dog")
    files = {f"{name}/{k}.png": flat(k) for name in names for k in (1, 2)}
    files |= {"train station/old/3.png": flat(3), "test tube/new/3.png": flat(4)}
    source = read(write_images(tmp_path, files))
    assert source.train.class_names == tuple(sorted(names))
    assert source.test is None


def test_words_in_names_of_parquet_files_say_the_split(tmp_path, write_images):
    files = {"mnist_train.parquet": hub_rows([0, 1])}
    files |= {"mnist_test.parquet": hub_rows([1, 0, 1])}
    source = read(write_images(tmp_path, files))
    assert source.train.labels.tolist() == [0, 1]
    assert source.test.labels.tolist() == [1, 0, 1]


def test_a_split_without_labels_is_left_out_and_counted(tmp_path, write_images):
    # tensorflow/datasets#349: competitions give -1 in place of test labels
    files = {"train.parquet": hub_rows([0, 1], names=["a", "b"])}
    files |= {"test.parquet": hub_rows([-1, -1, -1], names=["a", "b"])}
    source = read(write_images(tmp_path, files))
    assert source.test is None
    assert source.notes == ("skipped    3 rows of test (without labels)",)


# Classes.


@pytest.mark.parametrize("kind", ["folders", "table"])
def test_classes_that_are_numbers_are_in_order_of_number(tmp_path, write_images, kind):
    # pytorch/vision#714, modestyachts/ImageNetV2#10
    files = {f"{number}/1.png": flat(number) for number in range(12)}
    path = tmp_path
    write_images(path, files)
    if kind == "table":
        path = tmp_path / "all.csv"
        lines = "".join(f"{number}/1.png,{number}.0\n" for number in range(12))
        path.write_text("path,label\n" + lines)  # pandas writes 3.0 where some lack
    train = read(path).train
    assert train.class_names == tuple(map(str, range(12)))
    assert values(train) == list(range(12))


def test_classes_missing_in_val_keep_the_numbers_of_train(tmp_path, write_images):
    # ultralytics/ultralytics#13936, #23566
    files = class_folders("train/") | {f"val/dog/{k}.png": flat(k) for k in (50, 51)}
    source = read(write_images(tmp_path, files))
    assert source.target.labels.tolist() == [1, 1]


# Files.


def test_what_systems_leave_behind_is_no_image(tmp_path, write_images):
    # tensorflow/tensorflow#46595, hako-mikan/sd-webui-traintrain#26
    left = (".ipynb_checkpoints/1.png", "cat/.ipynb_checkpoints/0.png", "cat/._0.png")
    files = dict.fromkeys((*left, "cat/Thumbs.db", "dog/desktop.ini"), b"x")
    source = read(write_images(tmp_path, class_folders() | files))
    assert (source.train.class_names, len(source.train)) == (CLASSES, 4)


def test_rare_kinds_of_images_are_read(tmp_path, write_images):
    # keras-team/keras#17013, #17182, tensorflow/tensorflow#50366, Hamuko/cum#37
    kinds = {"jpe": "JPEG", "jp2": "JPEG2000", "tga": "TGA", "webp": "WEBP",
             "ppm": "PPM", "bmp": "BMP", "TIF": "TIFF", "JPG": "JPEG"}  # fmt: skip
    files = {f"{c}/1.{suffix}": encoded(flat(9, "RGB"), kind)
             for suffix, kind in kinds.items() for c in CLASSES}  # fmt: skip
    assert values(read(write_images(tmp_path, files)).train) == [9] * 16


@pytest.mark.parametrize("kind", ["WEBP", "PNG", "GIF", "TIFF", "MPO"])
def test_of_several_frames_the_first_is_read(tmp_path, write_images, kind):
    # python-pillow/Pillow#1138
    two = {"save_all": True, "append_images": [flat(200, "RGB")]}
    two |= {"lossless": True} if kind == "WEBP" else {}
    suffix = {"MPO": "jpg"}.get(kind, kind.lower())
    files = {f"{c}/1.{suffix}": encoded(flat(50, "RGB"), kind, **two) for c in CLASSES}
    assert values(read(write_images(tmp_path, files)).train) == [50, 50]


@pytest.mark.parametrize(
    ("files", "remedy"),
    [
        ({"a.arrow": b"ARROW1"}, "to_parquet"),  # a data set saved to disk
        ({"0000.tar": b""}, "WebDataset is not read"),
        ({"train/a/1.heic": b""}, "JPEG or PNG"),
        ({"a/image1": b""}, "no ending"),
    ],
)
def test_what_is_not_read_is_named_with_the_remedy(
    tmp_path, write_images, files, remedy
):
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


# Pixels.


def test_a_palette_with_transparency_in_bytes_is_composited(tmp_path, write_images):
    # imageio/imageio#475, NVIDIA/DIGITS#85: black where it is transparent
    image = Image.new("P", (8, 8), 0)
    image.putpalette([0, 0, 0, 200, 200, 200] + [0] * 762)
    image.paste(1, (4, 0, 8, 8))
    content = encoded(image, transparency=bytes([0, 255]))
    train = read(write_images(tmp_path, {f"{c}/1.png": content for c in CLASSES})).train
    assert train.images[0, 0, 0].tolist() == [255] * 4 + [200] * 4


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_tiffs_are_scaled(tmp_path, write_images, order):
    # python-pillow/Pillow#274, #1108: clipped at 255
    def tiff(value):
        raw = np.full((8, 8), value, dtype=f"{order}u2").tobytes()
        mode = "I;16" if order == "<" else "I;16B"
        return encoded(Image.frombytes(mode, (8, 8), raw), "TIFF")

    files = {"cat/1.tif": tiff(0x8000), "dog/1.tif": tiff(0xFFFF)}
    assert values(read(write_images(tmp_path, files)).train) == [128, 255]


@pytest.mark.parametrize(("value", "kind"), [(-1000, np.int32), (0.5, np.float32)])
def test_pixels_of_no_known_range_are_refused(tmp_path, write_images, value, kind):
    # keras-team/keras-preprocessing#19; CT images were black below 0
    image = encoded(Image.fromarray(np.full((8, 8), value, dtype=kind)), "TIFF")
    with pytest.raises(ValueError, match="no known range; store 8 bits"):
        read(write_images(tmp_path, {f"{c}/1.tif": image for c in CLASSES}))


def test_cmyk_is_read_as_its_colours(tmp_path, write_images):
    red = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100)
    train = read(write_images(tmp_path, {f"{c}/1.jpg": red for c in CLASSES})).train
    assert train.images[0, :, 0, 0].sub(train.images.new_tensor([254, 0, 0])).max() < 3


def test_a_page_saved_as_an_image_is_named(tmp_path, write_images):
    files = class_folders() | {"cat/9.jpg": b"<!DOCTYPE html>404"}
    with pytest.raises(ValueError, match=r"cat/9\.jpg cannot be read \(not an image"):
        read(write_images(tmp_path, files))


# Tables.


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "path,label\ncat/0.png,cat\ndog/0.png,dog\n".encode("utf-16")),
        ("a.csv", "path\tlabel\ncat/0.png\tcat\ndog/0.png\tdog\n".encode("utf-16")),
        ("a.csv", b"\xef\xbb\xbfcat/0.png,cat\ndog/0.png,dog\n"),
        ("a.csv", b",path,label\n0,cat/0.png,cat\n1,dog/0.png,dog\n"),
        ("a.txt", b"cat/0.png cat\ndog/0.png dog\n"),
    ],
    ids=["UTF-16", "Excel's text", "BOM without header", "index column", "list"],
)
def test_tables_as_programs_write_them(tmp_path, write_images, name, content):
    # p2irc/deepplantphenomics#41, UKGovernmentBEIS/inspect_ai#5361
    write_images(tmp_path, class_folders() | {name: content})
    train = read(tmp_path / name).train
    assert (train.class_names, values(train)) == (CLASSES, [0, 10])


@pytest.mark.parametrize(
    "path", ["cat/0.png", "/content/drive/cat/0.png", "C:\\me\\cat\\0.png", "cat/0"]
)
def test_images_that_lie_elsewhere_are_found_and_counted(tmp_path, write_images, path):
    # fastai/fastai#1169: the table lies beside the folder of its images
    write_images(tmp_path, class_folders("images/"))
    lines = [path, path.replace("cat", "dog")]
    text = "".join(
        f"{line},{name}\n" for line, name in zip(lines, CLASSES, strict=True)
    )
    (tmp_path / "a.csv").write_text("path,label\n" + text)
    source = read(tmp_path / "a.csv")
    assert values(source.train) == [0, 10]
    assert source.notes[0].startswith("moved      2 images found below")


def test_of_two_files_with_one_name_none_is_guessed(tmp_path, write_images):
    write_images(tmp_path, class_folders("a/") | class_folders("b/"))
    (tmp_path / "a.csv").write_text("path,label\ncat/0.png,cat\ndog/0.png,dog\n")
    with pytest.raises(ValueError, match=r"line 2: cat/0.png .*is not there"):
        read(tmp_path / "a.csv")


def test_several_labels_of_an_image_are_refused(tmp_path, write_images):
    line = json.dumps({"file_name": "cat/0.png", "label": ["a", "b"]})
    write_images(tmp_path, class_folders() | {"metadata.jsonl": line.encode()})
    with pytest.raises(ValueError, match=r"line 1 has label .*give one name"):
        read(tmp_path)


def test_metadata_may_be_parquet(tmp_path, write_images):
    rows = {"file_name": ["0.png", "1.png"], "label": ["dog", "cat"]}
    write_images(tmp_path, {f"{k}.png": flat(k) for k in range(2)})
    pq.write_table(pa.table(rows), tmp_path / "metadata.parquet")
    train = read(tmp_path).train
    assert (train.class_names, train.labels.tolist()) == (CLASSES, [1, 0])


def test_rows_may_name_files_in_place_of_bytes(tmp_path, write_images):
    # huggingface/datasets#4987
    images = [{"bytes": None, "path": f"photos/{k}.png"} for k in range(2)]
    files = {f"photos/{k}.png": flat(k) for k in range(2)}
    files |= {"train.parquet": hub_rows([0, 1], images=images)}
    write_images(tmp_path, files)
    assert values(read(tmp_path / "train.parquet").train) == [0, 1]

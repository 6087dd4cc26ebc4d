"""Trouble from the world: inputs as people report them, each with its right value."""

import io
import json
import unicodedata
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from infaug.config import DataConfig
from infaug.data.inspection import inspect
from infaug.data.plan import list_source
from infaug.data.problem import positions
from infaug.data.source import load
from infaug.data.survey import resolve_images


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def values(part):
    return part.images[:, 0, 0, 0].tolist()


def hub_rows(path, labels, names=None, *, image="image", values=None):
    """Parquet as the Hub has it: struct images, names in the schema's metadata."""
    encoded = []
    for value in values or labels:
        buffer = io.BytesIO()
        Image.new("L", (8, 8), value).save(buffer, format="PNG")
        encoded.append({"bytes": buffer.getvalue(), "path": None})
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    table = pa.table({image: pa.array(encoded, kind), "label": pa.array(labels)})
    if names is not None:
        feature = {"names": names, "_type": "ClassLabel"}
        about = {"info": {"features": {"label": feature, image: {"_type": "Image"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(about)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return str(path)


@pytest.fixture
def animals(tmp_path, write_images, image):
    """Class folders cat, dog and frog, four images each."""
    names = [f"{name}/{k}.png" for name in ("cat", "dog", "frog") for k in range(4)]
    files = {name: image(k) for k, name in enumerate(names)}
    return write_images(tmp_path / "data", files)


# Names of classes.


def test_names_of_a_hub_class_label_match_by_name(tmp_path, animals):
    labels, pixels = [0, 1, 2] * 3, list(range(100, 109))
    names = ["frog", "dog", "cat"]
    target = hub_rows(tmp_path / "t.parquet", labels, names, values=pixels)
    source = load(DataConfig(source=animals, target_source=target))
    assert source.target is not None
    assert source.target.labels.tolist() == [2, 1, 0] * 3


def test_bare_numbers_beside_names_are_never_guessed(tmp_path, animals, write_rows):
    bare = write_rows(tmp_path / "t.parquet", [0, 1, 2] * 3)
    with pytest.raises(ValueError, match=r"bare numbers.*'cat', 'dog'.*class_names"):
        load(DataConfig(source=animals, target_source=bare))
    with pytest.raises(ValueError, match=r"class 'cat'.*bare numbers.*class_names"):
        load(DataConfig(source=bare, target_source=animals))


def test_bare_numbers_in_one_split_of_named_ones_are_refused(tmp_path, write_rows):
    write_rows(tmp_path / "train.parquet", [0, 1], names=["cat", "dog"])
    write_rows(tmp_path / "test.parquet", [0, 1])
    with pytest.raises(ValueError, match=r"test split of .* has bare numbers"):
        load(DataConfig(source=str(tmp_path)))


def test_composed_and_decomposed_names_are_one_class(tmp_path, write_images, image):
    whole, apart = "Bär", unicodedata.normalize("NFD", "Bär")
    files = {
        f"{whole}/1.png": image(1),
        f"{apart}/2.png": image(2),
        "cat/3.png": image(),
    }
    source = load(DataConfig(source=write_images(tmp_path, files)))
    assert source.train.class_names == (whole, "cat")
    assert source.train.labels.bincount().tolist() == [2, 1]
    assert [note[:26] for note in source.notes] == ["renamed    1 image of class"[:26]]


def test_classes_that_differ_in_case_are_told(tmp_path, write_images, image):
    names = ("Cat", "cat", "dog")
    files = {f"{name}/{k}.png": image(9 * i + k) for i, name in enumerate(names)
             for k in range(9)}  # fmt: skip
    config = DataConfig(source=write_images(tmp_path, files), target=6, test=3)
    lines = inspect(load(config), config)
    assert "alike      classes 'Cat' and 'cat' differ in case or spaces" in "\n".join(
        lines
    )


def test_a_class_that_lists_several_is_told(tmp_path, write_images, image):
    names = ("cat", "cat|pet", "dog")
    files = {f"{name}-{k}.png": image(9 * i + k) for i, name in enumerate(names)
             for k in range(9)}  # fmt: skip
    write_images(tmp_path, files)
    lines = [f"{name},{name.rpartition('-')[0]}\n" for name in files]
    (tmp_path / "all.csv").write_text("path,label\n" + "".join(lines))
    config = DataConfig(source=str(tmp_path / "all.csv"), target=6, test=3)
    text = "\n".join(inspect(load(config), config))
    assert "alike      class 'cat|pet' lists others" in text


# Splits.


def flat_splits(image):
    return {f"{split}/{k}.png": image(10 * s + k) for s, split in
            enumerate(("train", "test")) for k in range(4)}  # fmt: skip


def test_flat_split_folders_are_not_classes(tmp_path, write_images, image):
    path = write_images(tmp_path, flat_splits(image))
    with pytest.raises(ValueError, match=r"'test' is the name of a split.*metadata"):
        load(DataConfig(source=path))
    with pytest.raises(ValueError, match=r"'test' is the name of a split"):
        list_source(tmp_path)


@pytest.mark.parametrize("place", ["root", "split"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_hub_metadata_gives_labels_and_splits(
    tmp_path, write_images, image, place, kind
):
    path = write_images(tmp_path, flat_splits(image))
    for split in ("train", "test"):
        folder = tmp_path / split if place == "split" else tmp_path
        above = "" if place == "split" else f"{split}/"
        rows = [(f"{above}{k}.png", ("dog", "cat")[k % 2]) for k in range(4)]
        file = folder / f"metadata.{kind}"
        text = file.read_text() if file.exists() else ""
        if kind == "csv":
            text = text or "file_name,label\n"
            text += "".join(f"{name},{label}\n" for name, label in rows)
        else:
            text += "".join(
                json.dumps({"file_name": name, "label": label}) + "\n"
                for name, label in rows
            )
        file.write_text(text)
    source = load(DataConfig(source=path))
    assert source.train.class_names == ("cat", "dog")
    assert source.train.labels.tolist() == [1, 0, 1, 0]
    assert source.test is not None
    assert values(source.test) == [10, 11, 12, 13]


def test_metadata_without_labels_leave_class_folders_alone(animals, tmp_path):
    (tmp_path / "data" / "metadata.csv").write_text("file_name,text\ncat/0.png,a cat\n")
    assert len(load(DataConfig(source=animals)).train) == 12


@pytest.mark.parametrize(
    ("train", "other", "split"),
    [
        ("Train", "Test", "test"),
        ("training", "validation", "target"),
        ("TRAIN", "dev", "target"),
        ("data/train", "data/valid", "target"),
        ("train/train", "test/test", "test"),
    ],
)
def test_splits_in_any_usual_spelling(
    tmp_path, write_images, image, train, other, split
):
    value = iter(range(100))
    files = {f"{top}/{c}/{k}.png": image(next(value)) for top in (train, other)
             for c in ("cat", "dog") for k in range(2)}  # fmt: skip
    source = load(DataConfig(source=write_images(tmp_path, files)))
    assert source.train.class_names == ("cat", "dog")
    assert values(source.train) == [0, 1, 2, 3]
    assert values(source.parts[split]) == [4, 5, 6, 7]


def test_a_flat_test_beside_train_is_named(tmp_path, write_images, image):
    files = {f"train/{c}/1.png": image() for c in ("cat", "dog")}
    files["test/1.png"] = image()
    with pytest.raises(ValueError, match="test holds images but no class folders"):
        load(DataConfig(source=write_images(tmp_path, files)))


# Pixels.


def deep(value):
    return Image.fromarray(np.full((8, 8), value, dtype=np.uint16))


def tiff(image):
    buffer = io.BytesIO()
    image.save(buffer, format="TIFF")
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["16-bit PNG", "int32 TIFF"])
def test_deep_grey_is_scaled_from_the_range_of_the_set(tmp_path, write_images, kind):
    def stored(value):
        if kind == "16-bit PNG":
            return deep(value)
        return tiff(Image.fromarray(np.full((8, 8), value, dtype=np.int32)))

    suffix = "png" if kind == "16-bit PNG" else "tif"
    brightness = {"cat": 0, "dog": 2048, "frog": 4095}
    files = {f"{name}/1.{suffix}": stored(v) for name, v in brightness.items()}
    config, told = resolve_images(DataConfig(source=write_images(tmp_path, files)))
    assert config.pixel_bits == 12
    assert "values up to 4,095: taken as 12 bits" in told[0]
    source = load(config)
    assert values(source.train) == [0, 128, 255]
    assert source.notes == ("rescaled   3 images to 8 bits, for they have more",)


def test_exif_orientation_is_applied_and_counted(tmp_path, write_images):
    upright = Image.new("RGB", (12, 8), (0, 0, 0))
    upright.paste((255, 255, 255), (0, 0, 6, 8))
    sideways, exif = upright.transpose(Image.Transpose.ROTATE_90), Image.Exif()
    exif[274] = 6
    buffer = io.BytesIO()
    sideways.save(buffer, format="PNG", exif=exif)
    files = {"cat/1.png": upright, "dog/1.png": buffer.getvalue()}
    config, _ = resolve_images(DataConfig(source=write_images(tmp_path, files)))
    source = load(config)
    assert config.image_size is None, "both are 12x8 to a viewer"
    assert source.train.images[0].equal(source.train.images[1])
    assert source.notes == ("turned     1 image as their EXIF orientation says",)


def test_what_lies_under_transparent_pixels_is_not_seen(tmp_path, write_images):
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 4), dtype=np.uint8)
    noise[..., 3] = 0
    files = {f"{c}/1.png": Image.fromarray(noise) for c in ("cat", "dog")}
    config, _ = resolve_images(DataConfig(source=write_images(tmp_path, files)))
    source = load(config)
    assert source.train.images.unique().tolist() == [255]
    assert source.notes[0].startswith("composited 2 images on white")


def test_images_that_are_all_black_are_named(tmp_path, write_images, image):
    files = {f"{c}/{k}.png": image(0) for c in ("cat", "dog") for k in range(9)}
    config = DataConfig(
        source=write_images(tmp_path, files), target=4, test=2, drop_duplicates=True
    )
    with pytest.raises(ValueError, match=r"same pixels.*not black or damaged"):
        positions(load(config), config)


def test_small_counts_in_sixteen_bits_stay_apart(tmp_path, write_images):
    files = {f"{c}/{k}.png": deep(3 * k) for c in ("cat", "dog") for k in (0, 1)}
    config, _ = resolve_images(DataConfig(source=write_images(tmp_path, files)))
    assert values(load(config).train) == [0, 3, 0, 3]


# Files that were lost.


def test_what_can_be_read_is_and_the_rest_is_listed(tmp_path, write_images, image):
    jpeg, avif = io.BytesIO(), io.BytesIO()
    image(3, mode="RGB").save(jpeg, format="JPEG")
    image(4, mode="RGB").save(avif, format="AVIF")
    files = {f"{c}/{k}.png": image(k, mode="RGB") for c in ("cat", "dog") for k in (1,)}
    files |= {"cat/a/b/2.png": image(2, mode="RGB"), "cat/3.jfif": jpeg.getvalue()}
    files |= {"dog/4.avif": avif.getvalue(), "dog/5.HEIC": b"?", "6.png": image()}
    files |= {"dog/@eaDir/4.png": image(), "__MACOSX/dog/._4.png": b"?", "a.txt": b""}
    source = load(DataConfig(source=write_images(tmp_path, files)))
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


# Labels.


@pytest.mark.parametrize("label", ["", "nan", "NaN", "<NA>"])
def test_a_label_that_is_none_names_its_line(tmp_path, write_images, image, label):
    write_images(tmp_path, {f"{k}.png": image(k) for k in (1, 2, 3)})
    path = tmp_path / "a.csv"
    path.write_text(f"path,label\n1.png,cat\n2.png,dog\n3.png,{label}\n")
    with pytest.raises(ValueError, match=r"a\.csv line 4 has no label"):
        load(DataConfig(source=str(path)))


def test_labels_in_parquet_may_be_text(tmp_path, write_rows):
    rows = tmp_path / "a.parquet"
    source = load(DataConfig(source=write_rows(rows, ["dog", "cat", "dog"])))
    assert source.train.class_names == ("cat", "dog")
    assert source.train.labels.tolist() == [1, 0, 1]
    table = pq.read_table(rows)
    table = table.set_column(1, "label", table["label"].dictionary_encode())
    pq.write_table(table, tmp_path / "b.pq")
    again = load(DataConfig(source=str(tmp_path / "b.pq")))
    assert again.train.labels.tolist() == [1, 0, 1]


def test_text_labels_are_streamed_alike(tmp_path, write_rows):
    path = write_rows(tmp_path / "a.parquet", ["dog", "cat", "dog", "cat"] * 3)
    whole = load(DataConfig(source=path, image_size=8, mode="L"))
    far = load(DataConfig(source=path, image_size=8, mode="L", stream_above_gib=0))
    decoded = far.train.select_all()
    assert decoded.labels.equal(whole.train.labels)
    assert decoded.images.equal(whole.train.images)


def test_the_same_pixels_in_two_classes_are_told(tmp_path, write_images, image):
    files = {f"{c}/{k}.png": image(k + 20 * i) for i, c in enumerate(("cat", "dog"))
             for k in range(9)}  # fmt: skip
    files["dog/9.png"] = image(0)
    config = DataConfig(source=write_images(tmp_path, files), target=4, test=2)
    text = "\n".join(inspect(load(config), config))
    assert "conflicts  1 image with the same pixels in another class" in text


# Layouts of Parquet.


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"),
        ("train/0000.parquet", "test/0000.parquet"),
        ("default/training/0.PARQUET", "default/Test/0.pq"),
    ],
)
def test_hub_layouts_of_parquet(tmp_path, train, test):
    hub_rows(tmp_path / train, [0, 1], ["cat", "dog"])
    hub_rows(tmp_path / test, [1, 0], ["cat", "dog"])
    source = load(DataConfig(source=str(tmp_path)))
    assert source.train.labels.tolist() == [0, 1]
    assert source.test is not None
    assert source.test.labels.tolist() == [1, 0]


def test_a_label_may_be_a_folders(tmp_path, write_rows):
    for label, name in enumerate(("cat", "dog")):
        rows = write_rows(tmp_path / f"label={name}" / "0.parquet", [label] * 2)
        pq.write_table(pq.read_table(rows, partitioning=None).drop(["label"]), rows)
    source = load(DataConfig(source=str(tmp_path)))
    assert source.train.class_names == ("cat", "dog")
    assert source.train.labels.tolist() == [0, 0, 1, 1]


def test_each_source_has_its_own_columns(tmp_path):
    names = ["cat", "dog"]
    data = hub_rows(tmp_path / "a.parquet", [0, 1] * 3, names, image="img")
    used = hub_rows(tmp_path / "b.parquet", [0, 1] * 3, names)
    config = DataConfig(source=data, target_source=used)
    assert len(load(config).train) == 6, "the only column of images is found"
    both = DataConfig(
        source=data, target_source=used, image_column="img", target_image_column="image"
    )
    assert load(both).target is not None


# Tables.


@pytest.mark.parametrize(
    "text",
    [
        "path;label\n1.png;cat\n2.png;dog\n",
        "path\tlabel\n1.png\tcat\n2.png\tdog\n",
        "Path,Label\n1.png,cat\n2.png,dog\n",
        "1.png,cat\n2.png,dog\n",
        "id,label\n1,cat\n2,dog\n",
        "filename,class\n.\\1.png,cat\n.\\2.png,dog\n",
    ],
    ids=["semicolon", "tab", "case", "no header", "no ending", "backslash"],
)
def test_tables_as_people_write_them(tmp_path, write_images, image, text):
    write_images(tmp_path, {f"{k}.png": image(k) for k in (1, 2)})
    (tmp_path / "a.csv").write_text(text)
    source = load(DataConfig(source=str(tmp_path / "a.csv")))
    assert source.train.class_names == ("cat", "dog")
    assert values(source.train) == [1, 2]


def test_a_windows_drive_and_a_missing_file_are_told_for_what_they_are(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("path,label\nC:\\photos\\1.png,cat\n")
    with pytest.raises(ValueError, match=r"line 2 .* a path of a Windows drive"):
        load(DataConfig(source=str(path)))
    path.write_text("path,label\n1.png,cat\n")
    with pytest.raises(ValueError, match=r"line 2: 1\.png .*is not there: looked for"):
        load(DataConfig(source=str(path)))


def test_a_target_that_is_the_data_is_refused(animals):
    with pytest.raises(ValueError, match="is the data itself"):
        load(DataConfig(source=animals, target_source=f"{animals}/../data"))


def test_too_few_images_of_a_class_are_told_with_its_name(
    tmp_path, write_images, image
):
    files = {f"cat/{k}.png": image(k) for k in range(30)}
    files |= {f"dog/{k}.png": image(100 + k) for k in range(2)}
    config = DataConfig(source=write_images(tmp_path, files), target=4, test=4)
    with pytest.raises(ValueError, match=r"class 'dog' has 1 image left for it"):
        positions(load(config), config)

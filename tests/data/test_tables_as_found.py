"""Tables, metadata and Parquet from the world, each with its right value.

Many were reported to the trackers of other projects: a comment says where.
"""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from reading import (
    CLASSES,
    class_folders,
    encoded,
    flat,
    flat_splits,
    hub_rows,
    read,
    values,
    write_images,
    write_rows,
)

from infaug.config import DataConfig
from infaug.data.source import load

pytestmark = pytest.mark.filterwarnings("ignore")


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
def test_tables_as_people_write_them(tmp_path, text):
    write_images(tmp_path, {f"{k}.png": flat(k) for k in (1, 2)})
    (tmp_path / "a.csv").write_text(text)
    source = load(DataConfig(source=str(tmp_path / "a.csv")))
    assert source.train.class_names == ("cat", "dog")
    assert values(source.train) == [1, 2]


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
def test_tables_as_programs_write_them(tmp_path, name, content):
    # p2irc/deepplantphenomics#41, UKGovernmentBEIS/inspect_ai#5361
    write_images(tmp_path, class_folders() | {name: content})
    train = read(tmp_path / name).train
    assert (train.class_names, values(train)) == (CLASSES, [0, 10])


def test_odd_names_in_a_table(tmp_path):
    names = ('a, "b".png', "50% #1.png", "e\u0301 日本.png")
    write_images(tmp_path, {name: flat(k) for k, name in enumerate(names)})
    cells = ('"a, ""b"".png",cat', "50% #1.png,dog", "e\u0301 日本.png,dog")
    (tmp_path / "a.csv").write_text("\n".join(["path,label", *cells]))
    assert values(read(tmp_path / "a.csv").train) == [0, 1, 2]


@pytest.mark.parametrize(
    "path", ["cat/0.png", "/content/drive/cat/0.png", "C:\\me\\cat\\0.png", "cat/0"]
)
def test_images_that_lie_elsewhere_are_found_and_counted(tmp_path, path):
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


def test_of_two_files_with_one_name_none_is_guessed(tmp_path):
    write_images(tmp_path, class_folders("a/") | class_folders("b/"))
    (tmp_path / "a.csv").write_text("path,label\ncat/0.png,cat\ndog/0.png,dog\n")
    with pytest.raises(ValueError, match=r"line 2: cat/0.png .*is not there"):
        read(tmp_path / "a.csv")


def test_a_windows_drive_and_a_missing_file_are_told_for_what_they_are(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("path,label\nC:\\photos\\1.png,cat\n")
    with pytest.raises(ValueError, match=r"line 2 .* a path of a Windows drive"):
        load(DataConfig(source=str(path)))
    path.write_text("path,label\n1.png,cat\n")
    with pytest.raises(ValueError, match=r"line 2: 1\.png .*is not there: looked for"):
        load(DataConfig(source=str(path)))


# Metadata beside images.


@pytest.mark.parametrize("place", ["root", "split"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_hub_metadata_gives_labels_and_splits(tmp_path, place, kind):
    path = write_images(tmp_path, flat_splits())
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
    assert values(source.test) == [10, 11, 12, 13]


def test_metadata_without_labels_leave_class_folders_alone(animals, tmp_path):
    (tmp_path / "data" / "metadata.csv").write_text("file_name,text\ncat/0.png,a cat\n")
    assert len(load(DataConfig(source=animals)).train) == 12


def test_several_labels_of_an_image_are_refused(tmp_path):
    line = json.dumps({"file_name": "cat/0.png", "label": ["a", "b"]})
    write_images(tmp_path, class_folders() | {"metadata.jsonl": line.encode()})
    with pytest.raises(ValueError, match=r"line 1 has label .*give one name"):
        read(tmp_path)


def test_metadata_may_be_parquet(tmp_path):
    rows = {"file_name": ["0.png", "1.png"], "label": ["dog", "cat"]}
    write_images(tmp_path, {f"{k}.png": flat(k) for k in range(2)})
    pq.write_table(pa.table(rows), tmp_path / "metadata.parquet")
    train = read(tmp_path).train
    assert (train.class_names, train.labels.tolist()) == (CLASSES, [1, 0])


# Parquet.


def test_labels_in_parquet_may_be_text(tmp_path):
    rows = tmp_path / "a.parquet"
    source = load(DataConfig(source=write_rows(rows, ["dog", "cat", "dog"])))
    assert source.train.class_names == ("cat", "dog")
    assert source.train.labels.tolist() == [1, 0, 1]
    table = pq.read_table(rows)
    table = table.set_column(1, "label", table["label"].dictionary_encode())
    pq.write_table(table, tmp_path / "b.pq")
    again = load(DataConfig(source=str(tmp_path / "b.pq")))
    assert again.train.labels.tolist() == [1, 0, 1]


def test_text_labels_are_streamed_alike(tmp_path):
    path = write_rows(tmp_path / "a.parquet", ["dog", "cat", "dog", "cat"] * 3)
    whole = load(DataConfig(source=path, image_size=8, mode="L"))
    far = load(DataConfig(source=path, image_size=8, mode="L", stream_above_gib=0))
    decoded = far.train.select_all()
    assert decoded.labels.equal(whole.train.labels)
    assert decoded.images.equal(whole.train.images)


def test_a_label_may_be_a_folders(tmp_path):
    for label, name in enumerate(("cat", "dog")):
        rows = write_rows(tmp_path / f"label={name}" / "0.parquet", [label] * 2)
        pq.write_table(pq.read_table(rows, partitioning=None).drop(["label"]), rows)
    source = load(DataConfig(source=str(tmp_path)))
    assert source.train.class_names == ("cat", "dog")
    assert source.train.labels.tolist() == [0, 0, 1, 1]


def test_each_source_has_its_own_columns(tmp_path):
    data, used = (str(tmp_path / name) for name in ("a.parquet", "b.parquet"))
    for path, column in ((data, "img"), (used, "image")):
        rows = hub_rows([0, 1] * 3, names=CLASSES, column=column)
        Path(path).write_bytes(rows)
    config = DataConfig(source=data, target_source=used)
    assert len(load(config).train) == 6, "the only column of images is found"
    both = DataConfig(
        source=data, target_source=used, image_column="img", target_image_column="image"
    )
    assert load(both).target is not None


def test_rows_may_name_files_in_place_of_bytes(tmp_path):
    # huggingface/datasets#4987
    images = [{"bytes": None, "path": f"photos/{k}.png"} for k in range(2)]
    files = {f"photos/{k}.png": flat(k) for k in range(2)}
    files |= {"train.parquet": hub_rows([0, 1], images=images)}
    write_images(tmp_path, files)
    assert values(read(tmp_path / "train.parquet").train) == [0, 1]


@pytest.mark.parametrize("label", [pa.int8(), pa.uint64(), pa.float32(), pa.string()])
@pytest.mark.parametrize("image", [pa.binary(), pa.large_binary()])
def test_columns_of_any_type(tmp_path, label, image):
    rows = [encoded(Image.new("L", (8, 8), k)) for k in range(4)]
    labels = pa.array([0, 1, 1, 0]).cast(label)
    table = pa.table({"image": pa.array(rows, image), "label": labels})
    pq.write_table(table, tmp_path / "a.parquet")
    train = read(tmp_path / "a.parquet").train
    assert (train.class_names, train.labels.tolist()) == (("0", "1"), [0, 1, 1, 0])


def test_shards_without_rows(tmp_path):
    write_rows(tmp_path / "train-0.parquet", [0, 1])
    empty = pq.read_table(tmp_path / "train-0.parquet").slice(0, 0)
    pq.write_table(empty, tmp_path / "train-1.parquet")
    write_rows(tmp_path / "train-2.parquet", [1, 0])
    assert read(tmp_path).train.labels.tolist() == [0, 1, 1, 0]

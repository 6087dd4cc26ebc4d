"""Sources in Parquet: layouts, columns, labels, and each fault's message."""

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from reading import flat, write_rows

from infaug.config import DataConfig
from infaug.data.source import load


def test_a_file_is_training_images_in_row_order(tmp_path):
    source = load(DataConfig(source=write_rows(tmp_path / "all.parquet", [0, 1, 2, 1])))
    assert source.test is None
    assert source.bad == ()
    assert source.train.labels.tolist() == [0, 1, 2, 1]
    assert source.train.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert source.train.class_names == ("0", "1", "2")


def test_class_names_come_from_the_metadata(tmp_path):
    path = write_rows(tmp_path / "a.parquet", [1, 0], names=["cat", "dog"])
    assert load(DataConfig(source=path)).train.class_names == ("cat", "dog")


def test_shards_are_read_in_order_of_name(tmp_path):
    write_rows(tmp_path / "train-00001-of-00002.parquet", [1, 1])
    write_rows(tmp_path / "train-00000-of-00002.parquet", [0, 1])
    write_rows(tmp_path / "test.parquet", [1, 0])
    source = load(DataConfig(source=str(tmp_path)))
    assert source.train.labels.tolist() == [0, 1, 1, 1]
    assert source.test.labels.tolist() == [1, 0]


def test_files_that_are_not_used_are_named(tmp_path):
    write_rows(tmp_path / "train.parquet", [0, 1])
    write_rows(tmp_path / "extra.parquet", [0, 1])
    with pytest.warns(UserWarning, match=r"not extra\.parquet"):
        source = load(DataConfig(source=str(tmp_path)))
    assert len(source.train) == 2


def test_a_truncated_image_names_its_row(tmp_path, noise_png):
    images = [noise_png] * 4 + [noise_png[: len(noise_png) // 2]]
    path = write_rows(tmp_path / "a.parquet", [0, 1, 0, 1, 0], images)
    with pytest.raises(ValueError, match=r"a\.parquet row 4 cannot be read"):
        load(DataConfig(source=path))


def test_a_missing_path_says_what_was_looked_for(tmp_path):
    path = tmp_path / "nowhere"
    with pytest.raises(ValueError, match=r"not found: looked for .*nowhere.*`digits`"):
        load(DataConfig(source=str(path)))


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"a\.parquet cannot be read as Parquet"):
        load(DataConfig(source=str(tmp_path / "a.parquet")))


def test_a_damaged_parquet_is_named(tmp_path, noise_png):
    path = Path(write_rows(tmp_path / "a.parquet", [0, 1], [noise_png, noise_png]))
    content = bytearray(path.read_bytes())
    content[4:40] = b"\xff" * 36
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.parquet cannot be read as Parquet"):
        load(DataConfig(source=str(path)))


def test_parquet_without_rows_is_refused(tmp_path):
    whole = write_rows(tmp_path / "whole.parquet", [0, 1])
    empty = tmp_path / "empty.parquet"
    pq.write_table(pq.read_table(whole)[:0], empty)
    with pytest.raises(ValueError, match="without a readable image"):
        load(DataConfig(source=str(empty)))


@pytest.mark.parametrize("kind", ["image", "label"])
def test_a_wrong_column_is_told_with_those_present(tmp_path, kind):
    path = write_rows(tmp_path / "a.parquet", [0, 1])
    config = DataConfig(source=path, **{f"{kind}_column": "other"})
    with pytest.raises(
        ValueError, match=rf"no column 'other'.*has image, label.*{kind}-column"
    ):
        load(config)


def test_an_image_column_without_bytes_is_refused(tmp_path):
    path = write_rows(tmp_path / "a.parquet", [0, 1])
    with pytest.raises(ValueError, match="column 'label' has type int64, not encoded"):
        load(DataConfig(source=path, image_column="label"))


PETS = ["cat", "dog"]


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([0, 1, 0, 1, None], PETS, "row 4 has no label"),
        ([0, 1, 0, 1, -1], PETS, "row 4 has label -1"),
        ([0, 1, 0, 1, 2], PETS, "row 4 has label 2, but `class_names` has 2 names"),
        ([0.0, 1.0, 0.5], None, r"row 2 has label 0\.5"),
        ([True, False], None, "has type bool, neither number nor text"),
        ([0, 2], None, "no training image has class 1, .*gaps"),
        ([1, 2], None, "no training image has class 0, .*gaps"),
        ([0, 10**12], None, "no training image has class 1, .*gaps"),
        ([0, 1], [*PETS, "cow"], r"no training image has class 2 \('cow'\)"),
    ],
)
def test_labels_that_are_no_classes_are_named(tmp_path, labels, names, message):
    path = write_rows(tmp_path / "a.parquet", labels, names=names)
    with pytest.raises(ValueError, match=message):
        load(DataConfig(source=path))


def test_shards_with_other_class_names_are_refused(tmp_path):
    write_rows(tmp_path / "train-0.parquet", [0, 1], names=["cat", "dog"])
    write_rows(tmp_path / "train-1.parquet", [0, 1], names=["cat", "cow"])
    with pytest.raises(ValueError, match="differ in the metadata `class_names`"):
        load(DataConfig(source=str(tmp_path)))


@pytest.mark.parametrize("labels", [[0, 2], [0, 1, 2], [0, 10**12]])
def test_a_class_number_of_test_that_train_lacks_is_refused(tmp_path, labels):
    write_rows(tmp_path / "train.parquet", [0, 1])
    write_rows(tmp_path / "test.parquet", labels)
    with pytest.raises(ValueError, match=rf"test split of .* class '{labels[-1]}'"):
        load(DataConfig(source=str(tmp_path)))


def test_classes_of_test_match_by_name(tmp_path):
    write_rows(tmp_path / "train.parquet", [0, 1], names=["cat", "dog"])
    write_rows(tmp_path / "test.parquet", [0, 1], names=["dog", "cat"])
    source = load(DataConfig(source=str(tmp_path)))
    assert source.test.labels.tolist() == [1, 0]


@pytest.mark.parametrize("other", [{"size": (9, 9)}, {"mode": "RGB"}])
def test_train_and_test_must_have_the_same_size_and_mode(tmp_path, other):
    write_rows(tmp_path / "train.parquet", [0, 1])
    write_rows(tmp_path / "test.parquet", [0, 1], [flat(**other)] * 2)
    with pytest.raises(
        ValueError, match=r"differ in (size|mode): .*train.parquet row 0.*test.parquet"
    ):
        load(DataConfig(source=str(tmp_path)))


@pytest.mark.slow
@pytest.mark.skipif("INFAUG_DATA" not in os.environ, reason="INFAUG_DATA is not set")
@pytest.mark.parametrize(
    ("name", "shape"), [("mnist", (1, 28, 28)), ("cifar10", (3, 32, 32))]
)
def test_public_data_sets_are_read(name, shape):
    path = Path(os.environ.get("INFAUG_DATA", "")) / name
    if not path.is_dir():
        pytest.skip(f"INFAUG_DATA has no folder {name}")
    source = load(DataConfig(source=str(path)))
    assert source.train.images.shape[1:] == shape
    assert source.train.num_classes == 10
    assert len(source.test) == 10_000

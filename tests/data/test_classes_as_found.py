"""Names of classes and splits in sets from the world, each with its right value.

Many were reported to the trackers of other projects: a comment says where.
"""

import unicodedata

import pytest
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
from infaug.data.inspection import inspect
from infaug.data.plan import list_source
from infaug.data.problem import positions
from infaug.data.source import load

pytestmark = pytest.mark.filterwarnings("ignore")


def test_names_of_a_hub_class_label_match_by_name(tmp_path, animals):
    images = [{"bytes": encoded(flat(k))} for k in range(100, 109)]
    names, target = ["frog", "dog", "cat"], tmp_path / "t.parquet"
    target.write_bytes(hub_rows([0, 1, 2] * 3, names=names, images=images))
    source = load(DataConfig(source=animals, target_source=str(target)))
    assert source.target.labels.tolist() == [2, 1, 0] * 3


def test_bare_numbers_beside_names_are_never_guessed(tmp_path, animals):
    bare = write_rows(tmp_path / "t.parquet", [0, 1, 2] * 3)
    with pytest.raises(ValueError, match=r"bare numbers.*'cat', 'dog'.*class_names"):
        load(DataConfig(source=animals, target_source=bare))
    with pytest.raises(ValueError, match=r"class 'cat'.*bare numbers.*class_names"):
        load(DataConfig(source=bare, target_source=animals))


def test_bare_numbers_in_one_split_of_named_ones_are_refused(tmp_path):
    write_rows(tmp_path / "train.parquet", [0, 1], names=["cat", "dog"])
    write_rows(tmp_path / "test.parquet", [0, 1])
    with pytest.raises(ValueError, match=r"test split of .* has bare numbers"):
        load(DataConfig(source=str(tmp_path)))


@pytest.mark.parametrize("kind", ["folders", "table"])
def test_classes_that_are_numbers_are_in_order_of_number(tmp_path, kind):
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


def test_classes_missing_in_val_keep_the_numbers_of_train(tmp_path):
    # ultralytics/ultralytics#13936, #23566
    files = class_folders("train/") | {f"val/dog/{k}.png": flat(k) for k in (50, 51)}
    source = read(write_images(tmp_path, files))
    assert source.target.labels.tolist() == [1, 1]


def test_a_thousand_classes(tmp_path):
    names = [f"n{k:04d}" for k in range(1000)]
    labels = [(7 * k) % 1000 for k in range(1000)]
    images = [encoded(flat(5))] * 1000
    path = write_rows(tmp_path / "a.parquet", labels, images, names=names)
    train = read(path).train
    assert (train.class_names, train.labels.tolist()) == (tuple(names), labels)


def test_composed_and_decomposed_names_are_one_class(tmp_path):
    whole, apart = "Bär", unicodedata.normalize("NFD", "Bär")
    files = {f"{whole}/1.png": flat(1), f"{apart}/2.png": flat(2), "cat/3.png": flat()}
    source = load(DataConfig(source=write_images(tmp_path, files)))
    assert source.train.class_names == (whole, "cat")
    assert source.train.labels.bincount().tolist() == [2, 1]
    assert [note[:26] for note in source.notes] == ["renamed    1 image of class"[:26]]


def test_classes_that_differ_in_case_are_told(tmp_path):
    names = ("Cat", "cat", "dog")
    files = {f"{name}/{k}.png": flat(9 * i + k) for i, name in enumerate(names)
             for k in range(9)}  # fmt: skip
    config = DataConfig(source=write_images(tmp_path, files), target=6, test=3)
    lines = inspect(load(config), config)
    assert "alike      classes 'Cat' and 'cat' differ in case or spaces" in "\n".join(
        lines
    )


def test_a_class_that_lists_several_is_told(tmp_path):
    names = ("cat", "cat|pet", "dog")
    files = {f"{name}-{k}.png": flat(9 * i + k) for i, name in enumerate(names)
             for k in range(9)}  # fmt: skip
    write_images(tmp_path, files)
    lines = [f"{name},{name.rpartition('-')[0]}\n" for name in files]
    (tmp_path / "all.csv").write_text("path,label\n" + "".join(lines))
    config = DataConfig(source=str(tmp_path / "all.csv"), target=6, test=3)
    text = "\n".join(inspect(load(config), config))
    assert "alike      class 'cat|pet' lists others" in text


def test_the_same_pixels_in_two_classes_are_told(tmp_path):
    files = {f"{c}/{k}.png": flat(k + 20 * i) for i, c in enumerate(CLASSES)
             for k in range(9)}  # fmt: skip
    files["dog/9.png"] = flat(0)
    config = DataConfig(source=write_images(tmp_path, files), target=4, test=2)
    text = "\n".join(inspect(load(config), config))
    assert "conflicts  1 image with the same pixels in another class" in text


def test_too_few_images_of_a_class_are_told_with_its_name(tmp_path):
    files = {f"cat/{k}.png": flat(k) for k in range(30)}
    files |= {f"dog/{k}.png": flat(100 + k) for k in range(2)}
    config = DataConfig(source=write_images(tmp_path, files), target=4, test=4)
    with pytest.raises(ValueError, match=r"class 'dog' has 1 image left for it"):
        positions(load(config), config)


def test_a_target_that_is_the_data_is_refused(animals):
    with pytest.raises(ValueError, match="is the data itself"):
        load(DataConfig(source=animals, target_source=f"{animals}/../data"))


# Splits.


def test_flat_split_folders_are_not_classes(tmp_path):
    path = write_images(tmp_path, flat_splits())
    with pytest.raises(ValueError, match=r"'test' is the name of a split.*metadata"):
        load(DataConfig(source=path))
    with pytest.raises(ValueError, match=r"'test' is the name of a split"):
        list_source(tmp_path)


def test_a_flat_test_beside_train_is_named(tmp_path):
    files = {f"train/{c}/1.png": flat() for c in CLASSES}
    files["test/1.png"] = flat()
    with pytest.raises(ValueError, match="test holds images but no class folders"):
        load(DataConfig(source=write_images(tmp_path, files)))


@pytest.mark.parametrize(
    ("train", "other", "split"),
    [
        ("train", "test", "test"),
        ("Train", "Test", "test"),
        ("training", "validation", "target"),
        ("TRAIN", "dev", "target"),
        ("data/train", "data/valid", "target"),
        ("train/train", "test/test", "test"),
    ],
)
def test_splits_in_any_usual_spelling(tmp_path, train, other, split):
    value = iter(range(100))
    files = {f"{top}/{c}/{k}.png": flat(next(value)) for top in (train, other)
             for c in CLASSES for k in range(2)}  # fmt: skip
    source = load(DataConfig(source=write_images(tmp_path, files)))
    assert source.train.class_names == CLASSES
    assert values(source.train) == [0, 1, 2, 3]
    assert values(source.parts[split]) == [4, 5, 6, 7]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set/", "test_set/"),
        ("seg_train/seg_train/", "seg_test/seg_test/"),
        ("train-2023/", "test-2023/"),
        ("birds/Train_Images/", "birds/Test_Images/"),
    ],
)
def test_words_in_names_of_folders_say_the_split(tmp_path, train, test):
    # pytorch/vision#613, huggingface/datasets#7880
    files = class_folders(train) | class_folders(test, first=40)
    source = read(write_images(tmp_path, files))
    assert source.train.class_names == CLASSES
    assert values(source.train) == [0, 1, 10, 11]
    assert values(source.test) == [40, 41, 50, 51]


def test_classes_whose_names_have_words_of_splits_stay_classes(tmp_path):
    # huggingface/datasets#5021
    names = ("train station", "test tube", "dog")
    files = {f"{name}/{k}.png": flat(k) for name in names for k in (1, 2)}
    files |= {"train station/old/3.png": flat(3), "test tube/new/3.png": flat(4)}
    source = read(write_images(tmp_path, files))
    assert source.train.class_names == tuple(sorted(names))
    assert source.test is None


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"),
        ("train/0000.parquet", "test/0000.parquet"),
        ("default/training/0.PARQUET", "default/Test/0.pq"),
        ("mnist_train.parquet", "mnist_test.parquet"),
    ],
)
def test_names_of_parquet_files_say_the_split(tmp_path, train, test):
    files = {train: hub_rows([0, 1], names=CLASSES)}
    files |= {test: hub_rows([1, 0], names=CLASSES)}
    source = load(DataConfig(source=write_images(tmp_path, files)))
    assert source.train.labels.tolist() == [0, 1]
    assert source.test.labels.tolist() == [1, 0]


def test_a_split_without_labels_is_left_out_and_counted(tmp_path):
    # tensorflow/datasets#349: competitions give -1 in place of test labels
    files = {"train.parquet": hub_rows([0, 1], names=["a", "b"])}
    files |= {"test.parquet": hub_rows([-1, -1, -1], names=["a", "b"])}
    source = read(write_images(tmp_path, files))
    assert source.test is None
    assert source.notes == ("skipped    3 rows of test (without labels)",)

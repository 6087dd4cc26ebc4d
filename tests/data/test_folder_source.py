"""Sources that are folders of images: layouts, and each fault's message."""

from dataclasses import replace

import pytest
import torch
from reading import flat, write_images

from infaug.config import DataConfig
from infaug.data.problem import divide
from infaug.data.source import load


def test_classes_and_files_are_taken_in_order_of_name(tmp_path):
    files = {
        "dog/2.png": flat(2),
        "dog/1.png": flat(1),
        "cat/9.JPG": flat(9),
        "cat/notes.txt": b"not named like an image",
        ".hidden/1.png": flat(7),
    }
    source = load(DataConfig(source=write_images(tmp_path, files)))
    assert source.train.class_names == ("cat", "dog")
    assert source.train.labels.tolist() == [0, 1, 1]
    assert source.train.images[:, 0, 0, 0].tolist() == [9, 1, 2]
    assert source.test is None


def test_some_of_the_classes_are_a_smaller_problem(tmp_path):
    files = {f"train/{c}/{k}.png": flat(10 * k) for k, c in enumerate("abcde")}
    files |= {f"test/{c}/{k}.png": flat(100 + k) for k, c in enumerate("abcde")}
    config = DataConfig(source=write_images(tmp_path, files), classes=2)
    source = load(config)
    assert source.train.class_names == source.test.class_names == ("b", "d")
    assert source.train.labels.tolist() == source.test.labels.tolist() == [0, 1]
    assert source.train.images[:, 0, 0, 0].tolist() == [10, 30]
    assert [name[-7:] for name in source.names["test"]] == ["b/1.png", "d/3.png"]
    with pytest.raises(ValueError, match=r"data.classes: 6 are wanted.*are 5"):
        load(replace(config, classes=6))


def both_splits(test=("cat", "dog")):
    files = {f"train/{name}/1.png": flat(1) for name in ("cat", "dog")}
    return files | {f"test/{name}/1.png": flat(2) for name in test}


def test_train_may_be_a_class(tmp_path):
    files = {"train/1.png": flat(), "car/1.png": flat()}
    source = load(DataConfig(source=write_images(tmp_path, files)))
    assert source.train.class_names == ("car", "train")


def test_folders_that_are_not_used_are_named(tmp_path):
    files = both_splits() | {"spare/cat/1.png": flat()}
    source = load(DataConfig(source=write_images(tmp_path, files)))
    assert source.notes == ("skipped    1 file (beside the splits): spare/cat/1.png",)


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_a_val_folder_drives_and_chooses(tmp_path, name):
    files = both_splits()
    held = [(each, k) for each in ("cat", "dog") for k in (1, 2)]
    files |= {f"{name}/{each}/{k}.png": flat(9 + k) for each, k in held}
    config = DataConfig(source=write_images(tmp_path, files))
    found = divide(load(config), config)
    assert len(found.train) == 2
    assert found.influence.labels.tolist() == [0, 1]
    chosen = torch.cat([found.influence.images, found.selection.images])
    assert sorted(chosen[:, 0, 0, 0].tolist()) == [10, 10, 11, 11]
    assert found.test.images.unique().tolist() == [2]


def test_one_split_under_two_names_is_refused(tmp_path):
    files = both_splits()
    files |= {f"{name}/cat/1.png": flat() for name in ("val", "valid")}
    with pytest.raises(ValueError, match="has both val and valid: join them"):
        load(DataConfig(source=write_images(tmp_path, files)))


def test_a_class_of_which_no_image_is_readable_is_refused(tmp_path):
    files = {"cat/1.png": flat(), "cow/1.png": flat(), "dog/1.png": b"no image"}
    config = DataConfig(source=write_images(tmp_path, files), max_bad_images=1)
    with pytest.raises(ValueError, match=r"no training image has class 2 \('dog'\)"):
        load(config)


@pytest.mark.parametrize("test", [("cat", "cow"), ("cat", "cow", "dog")])
def test_a_class_of_test_that_train_lacks_is_refused(tmp_path, test):
    path = write_images(tmp_path, both_splits(test))
    with pytest.raises(ValueError, match=r"test split of .* has the class 'cow'"):
        load(DataConfig(source=path))


def test_a_class_that_test_lacks_is_named(tmp_path):
    path = write_images(tmp_path, both_splits(("dog",)))
    with pytest.warns(UserWarning, match="test split has no image of cat: 1 of 2"):
        source = load(DataConfig(source=path))
    assert source.test.labels.tolist() == [1]

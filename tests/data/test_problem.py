from dataclasses import replace

import pytest
from reading import write_rows

from infaug.config import DataConfig, ShiftConfig
from infaug.data.digits import digits
from infaug.data.problem import load_splits
from infaug.data.shift import apply_shift
from infaug.data.splits import split

CONFIG = DataConfig(labels=100.0)


def test_splits_of_digits_hold_the_images_of_their_indices():
    found, whole = load_splits(CONFIG), digits()
    at = split(whole.labels, CONFIG, test_given=False)
    for name in ("train", "influence", "selection", "test"):
        expected = whole.select(getattr(at, name))
        assert getattr(found, name).images.equal(expected.images)
        assert getattr(found, name).labels.equal(expected.labels)
    assert found.unlabelled.equal(whole.images[at.unlabelled])
    assert (len(found.train), found.num_classes) == (100, 10)
    assert found.class_names == whole.class_names


@pytest.mark.parametrize("name", ["train", "influence", "selection", "test"])
def test_only_the_chosen_splits_are_shifted(name):
    shift = ShiftConfig(rotate_deg=30.0, splits=(name,))
    plain = load_splits(CONFIG)
    shifted = load_splits(replace(CONFIG, shift=shift))
    for each in ("train", "influence", "selection", "test"):
        before, after = getattr(plain, each), getattr(shifted, each)
        expected = apply_shift(before.images, shift) if each == name else before.images
        assert after.images.equal(expected)
        assert after.labels.equal(before.labels)
    assert shifted.unlabelled.equal(plain.unlabelled) == (name != "train")


def test_a_test_split_of_the_source_is_used_whole(tmp_path):
    write_rows(tmp_path / "train.parquet", [0, 1] * 20)
    write_rows(tmp_path / "test.parquet", [1, 0, 1])
    found = load_splits(DataConfig(source=str(tmp_path), target=10.0))
    assert found.test.labels.tolist() == [1, 0, 1]
    assert len(found.train) == 30


def test_digits_take_the_size_and_mode_of_the_config():
    found = load_splits(replace(CONFIG, image_size=32, mode="RGB"))
    assert found.test.images.shape[1:] == (3, 32, 32)

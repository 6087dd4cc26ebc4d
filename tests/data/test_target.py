"""Images of where the model will be used: what they are used for, which are refused."""

from dataclasses import replace

import pytest
import torch
from reading import flat, write_images, write_rows

from infaug.config import DataConfig
from infaug.data.problem import divide
from infaug.data.source import load


@pytest.fixture
def folders(tmp_path):
    """Write train images below 100 and target images from 100 on, all different."""

    def write(target, train=("cat", "dog"), each=6, **splits):
        value = iter(range(100))
        files = {f"{c}/{k}.png": flat(next(value)) for c in train for k in range(each)}
        if splits:
            files = {f"train/{name}": x for name, x in files.items()}
        for split, names in splits.items():
            files |= {f"{split}/{c}/1.png": flat(next(value)) for c in names}
        value = iter(range(100, 250))
        used = {
            f"{c}/{k}.png": flat(next(value))
            for c, count in target.items()
            for k in range(count)
        }
        return DataConfig(
            source=write_images(tmp_path / "data", files),
            target_source=write_images(tmp_path / "target", used),
        )

    return write


def values(part):
    return set(part.images[:, 0, 0, 0].tolist())


def test_target_images_drive_choose_and_test_and_no_other_does(folders):
    config = folders({"cat": 6, "dog": 6})
    found = divide(load(config), config)
    held = [values(part) for part in (found.influence, found.selection, found.test)]
    assert set.union(*held) == set(range(100, 112))
    assert sum(map(len, held)) == 12
    assert values(found.train) == set(range(12))
    for part in (found.influence, found.selection, found.test):
        assert part.labels.unique().tolist() == [0, 1]


def test_a_class_that_target_lacks_is_told_and_the_others_are_used(folders):
    config = folders({"dog": 4}, train=("cat", "dog"))
    with pytest.warns(UserWarning, match="no image of cat.*not measured"):
        found = divide(load(config), config)
    assert found.test.labels.unique().tolist() == [1]
    assert found.num_classes == 2


def test_a_class_that_train_lacks_is_refused(folders):
    config = folders({"cat": 4, "cow": 4})
    with pytest.raises(ValueError, match="class 'cow', which no training image has"):
        load(config)


def test_too_few_of_a_class_are_refused_with_the_number_needed(folders):
    config = folders({"cat": 4, "dog": 2})
    with pytest.raises(ValueError, match=r"2 images of class 'dog'.* needs 3"):
        load(config)


def test_a_test_split_of_the_data_is_passed_over_unless_asked_for(folders):
    config = folders({"cat": 4, "dog": 4}, test=("cat", "dog"))
    with pytest.warns(UserWarning, match="test split of .* is not looked at"):
        assert values(divide(load(config), config).test) <= set(range(100, 108))
    requested = replace(config, test_from="source")
    found = divide(load(requested), requested)
    assert values(found.test) == {12, 13}
    assert len(found.influence) + len(found.selection) == 8


def test_a_test_split_of_the_target_is_the_test(folders, tmp_path):
    config = folders({})
    files = {f"train/{c}/{k}.png": flat(k) for c in ("cat", "dog") for k in range(3)}
    files |= {f"test/{c}/1.png": flat(9) for c in ("cat", "dog")}
    write_images(tmp_path / "target", files)
    found = divide(load(config), config)
    assert values(found.test) == {9}
    assert len(found.influence) + len(found.selection) == 6


def test_a_val_split_is_trained_on_where_target_drives(folders):
    config = folders({"cat": 4, "dog": 4}, val=("cat", "dog"))
    with pytest.warns(UserWarning, match="val split is trained on"):
        found = divide(load(config), config)
    assert values(found.train) == set(range(14))


def test_a_test_split_that_is_asked_for_must_be_there(folders):
    config = folders({"cat": 4, "dog": 4})
    requested = replace(config, test_from="source")
    with pytest.raises(ValueError, match="has no test split"):
        load(requested)


def test_target_may_lie_beside_the_bundled_digits(tmp_path):
    of = [(label, k) for label in range(10) for k in range(3)]
    files = {f"{c}/{k}.png": flat(10 * c + k, size=(16, 16)) for c, k in of}
    config = DataConfig(source="digits", target_source=write_images(tmp_path, files))
    assert len(divide(load(config), config).test) == 10


def test_streamed_images_may_have_a_target_in_parquet(tmp_path):
    names = {"names": ["cat", "dog"]}
    train = write_rows(tmp_path / "a.parquet", [0, 1] * 6, **names)
    target = write_rows(tmp_path / "b.parquet", [0, 1] * 4, **names)
    config = DataConfig(source=train, target_source=target, image_size=8)
    streamed = replace(config, stream_above_gib=0, mode="L")
    ours, theirs = (divide(load(each), each) for each in (streamed, config))
    for name in ("influence", "selection", "test"):
        stored, decoded = getattr(ours, name), getattr(theirs, name)
        assert stored.select_all().images.equal(decoded.images)
    assert len(ours.train) == len(theirs.train) == 12
    assert len(ours.pooled) == len(theirs.pooled)
    pooled = ours.pooled.select(torch.arange(len(ours.pooled)))
    assert pooled.images.unique().equal(theirs.pooled.images.unique())


@pytest.mark.parametrize("above_gib", [0, 4])
def test_pooled_images_of_a_target_are_counted_on_from_training_images(
    tmp_path, above_gib
):
    names = {"names": ["cat", "dog"]}
    used = [flat(100 + k) for k in range(8)]
    config = DataConfig(
        source=write_rows(tmp_path / "a.parquet", [0, 1] * 6, **names),
        target_source=write_rows(tmp_path / "b.parquet", [0, 1] * 4, used, **names),
        image_size=8,
        mode="L",
        stream_above_gib=above_gib,
    )
    source = load(config)
    found = divide(source, config)
    number, drives = found.trained_on(is_pooled=True)
    pooled = found.pooled.select(torch.arange(len(number)))
    assert (source.train + source.target).select(number).images.equal(pooled.images)
    influence = found.influence.select(torch.arange(len(found.influence)))
    assert pooled.images[drives].equal(influence.images)
    assert number[~drives].equal(found.trained_on(is_pooled=False)[0])

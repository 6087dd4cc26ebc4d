"""Images in two splits, pixel by pixel, are left out of the one that matters less."""

from dataclasses import replace

import pytest
import torch

from infaug.config import DataConfig
from infaug.data.dataset import Labelled
from infaug.data.images import Source, duplicates, without_duplicates
from infaug.data.inspection import inspect
from infaug.data.problem import divide, positions

CONFIG = DataConfig(test=8, target=8, influence_share=0.5)


def source_of(values, **parts):
    """One image of each value, classes in turn."""

    def labelled(values):
        images = torch.tensor(values, dtype=torch.uint8)[:, None, None, None]
        labels = torch.arange(len(values)) % 2
        return Labelled(images.expand(-1, 1, 8, 8).contiguous(), labels, ("a", "b"))

    held = {name: labelled(each) for name, each in parts.items()}
    return Source(labelled(values), held.get("test"), (), held.get("target"))


def of(source, config=CONFIG):
    return positions(source, replace(config, drop_duplicates=True))


def test_training_images_that_are_also_test_images_are_left_out():
    source = source_of(range(40), test=[3, 50, 3, 51])
    at = of(source)
    assert 3 not in torch.cat([at.train, at.influence, at.selection]).tolist()
    assert len(torch.cat([at.train, at.influence, at.selection])) == 39


def test_of_copies_in_one_set_none_is_in_two_splits():
    source = source_of([k // 4 for k in range(40)])
    at = of(source)
    held = (at.test, at.selection, at.influence, at.train)
    images = [source.train.images[part, 0, 0, 0].tolist() for part in held]
    assert sum(len(set(part)) for part in images) == len(set().union(*images))
    assert at.test.equal(positions(source, CONFIG).test)


def test_they_are_named_with_their_twins():
    source = source_of(range(40), test=[3, 50, 60, 51])
    source = replace(source, names={"train": [f"{k}.png" for k in range(40)]})
    (found,) = duplicates(source, positions(source, replace(CONFIG, target=4)))
    assert found.name == "3.png"
    assert (found.held, found.twin) == ("test", "test image 0")
    assert found.split in ("train", "influence")


def test_they_stay_where_nothing_is_said():
    source = source_of(range(40), test=[3, 50, 60, 51])
    found = divide(source, CONFIG)
    parts = (found.train, found.influence, found.selection, found.test)
    assert sum(map(len, parts)) == 44


def test_target_images_are_compared_too():
    source = source_of(range(20), target=[2, 3, 90, 91, 92, 93])
    assert not {2, 3} & set(of(source).train.tolist())


def test_a_class_of_which_nothing_remains_is_refused():
    source = source_of([0, 1] * 4, test=[1, 50, 60, 51], target=[20, 21, 22, 23])
    with pytest.raises(ValueError, match=r"every image of class 'b' .*drop-duplicates"):
        without_duplicates(source, positions(source, CONFIG))


def test_an_inspection_counts_and_names_what_a_user_should_know():
    values = [*range(12), *range(12, 60, 2)]
    source = source_of(values, test=[3, 100, 101, 102])
    source = replace(source, bad=("x.png cannot be read (broken)",))
    said = "\n".join(inspect(source, replace(CONFIG, drop_duplicates=True)))
    assert "36 images, 1x8x8: 27 to train on" in said
    assert "4 of its test split: looked at once" in said
    assert "2: a (18), b (18)" in said
    assert "1 that ends a run without --data.max-bad-images 1: x.png cannot" in said
    assert "1 image is in two splits and left out of the one" in said
    assert "= test image 0" in said
    few = inspect(source, replace(CONFIG, labels=6.0))
    assert any("under 10 images to train on: a (3), b (3)" in line for line in few)

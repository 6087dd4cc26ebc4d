from dataclasses import fields, replace
from itertools import pairwise

import pytest
import torch

from infaug.config import DataConfig
from infaug.data.splits import split

BALANCED = torch.arange(1000) % 10
# 700, 200, 90 and 10 images a class.
SKEWED = torch.tensor([0] * 700 + [1] * 200 + [2] * 90 + [3] * 10)
CONFIG = DataConfig(labels=100.0, target=120.0, test=0.3)
BOTH = pytest.mark.parametrize("labels", [BALANCED, SKEWED], ids=["balanced", "skewed"])


def parts(indices):
    return {f.name: getattr(indices, f.name) for f in fields(indices)}


def target(indices):
    return set(torch.cat([indices.influence, indices.selection]).tolist())


def counts(labels, part):
    return labels[part].bincount(minlength=int(labels.max()) + 1)


@BOTH
@pytest.mark.parametrize("test_given", [True, False])
def test_splits_are_disjoint_and_cover_all_images(labels, test_given):
    found = parts(split(labels, CONFIG, test_given))
    everything = torch.cat(list(found.values()))
    assert everything.sort().values.equal(torch.arange(len(labels)))
    assert all(part.equal(part.sort().values) for part in found.values())


@BOTH
def test_splits_are_pure_functions_of_labels_and_seed(labels):
    first = parts(split(labels, CONFIG, False))
    torch.manual_seed(7)
    again = parts(split(labels, CONFIG, False))
    assert all(first[name].equal(again[name]) for name in first)
    other = parts(split(labels, replace(CONFIG, seed=1), False))
    assert all(not first[name].equal(other[name]) for name in first)


def test_sizes_are_as_asked():
    found = split(BALANCED, CONFIG, False)
    sizes = {name: len(part) for name, part in parts(found).items()}
    assert sizes == {
        "train": 100,
        "influence": 84,
        "selection": 36,
        "test": 300,
        "unlabelled": 480,
    }


def test_fractions_are_of_what_earlier_splits_left():
    config = DataConfig(labels=0.25, target=0.2, test=0.3)
    found = split(BALANCED, config, False)
    assert len(found.test) == 300
    assert len(target(found)) == 140
    assert len(found.train) == 140


def test_without_a_number_all_remaining_labels_are_used():
    found = split(BALANCED, replace(CONFIG, labels=None), True)
    assert len(found.train) == 880
    assert len(found.unlabelled) == len(found.test) == 0


def test_without_a_number_a_fifth_is_held_out_but_200_at_most_and_two_a_class():
    config = DataConfig(test=0.1)
    sizes = [
        len(target(split(torch.arange(num) % 10, config, False)))
        for num in (3000, 500, 100)
    ]
    assert sizes == [200, 90, 20]


@BOTH
def test_splits_keep_the_proportions_of_classes(labels):
    found = split(labels, CONFIG, False)
    share = counts(labels, torch.arange(len(labels))) / len(labels)
    for part in (found.train, found.influence, found.selection, found.test):
        # Rare classes are rounded up, and what they take the others lack.
        excess = counts(labels, part) - share * len(part)
        assert excess.abs().max() < 4
        assert counts(labels, part).min() >= 1


def test_the_smallest_splits_have_every_class():
    config = DataConfig(labels=4.0, target=8.0, test=4.0)
    found = split(SKEWED, config, False)
    for part in (found.train, found.influence, found.selection, found.test):
        assert counts(SKEWED, part).tolist() == [1, 1, 1, 1]


@BOTH
def test_fewer_labels_are_a_subset_and_leave_the_hold_outs_alone(labels):
    found = [
        split(labels, replace(CONFIG, labels=number), False)
        for number in (4.0 if labels is SKEWED else 10.0, 0.1, 0.5, None)
    ]
    for small, large in pairwise(found):
        assert set(small.train.tolist()) < set(large.train.tolist())
        assert small.test.equal(large.test)
        assert small.influence.equal(large.influence)
        assert small.selection.equal(large.selection)


@BOTH
def test_a_smaller_target_is_a_subset_and_leaves_test_alone(labels):
    found = [
        split(labels, replace(CONFIG, target=size), False)
        for size in (20.0, 60.0, 120.0, 0.5)
    ]
    for small, large in pairwise(found):
        assert target(small) < target(large)
        assert small.test.equal(large.test)


@BOTH
def test_training_images_do_not_depend_on_how_many_are_held_out_as_target(labels):
    wanted = 20.0 if labels is SKEWED else 100.0
    config = replace(CONFIG, labels=wanted)
    found = [
        split(labels, replace(config, target=size), False) for size in (20.0, 60.0, 0.5)
    ]
    for one, other in pairwise(found):
        assert one.train.equal(other.train)
        assert len(one.influence) < len(other.influence)


@pytest.mark.parametrize(
    ("name", "size", "needed"),
    [("test", 9.0, 10), ("target", 19.0, 20), ("labels", 9.0, 10), ("labels", 1.0, 10)],
)
def test_a_split_too_small_for_its_classes_is_refused(name, size, needed):
    config = replace(CONFIG, **{name: size})
    with pytest.raises(
        ValueError,
        match=rf"`{name}` is too small: {size:.0f} images? for 10 classes.*"
        rf"raise --data.{name} to a count of {needed} or more",
    ):
        split(BALANCED, config, False)


def test_a_class_too_rare_for_all_splits_is_named():
    labels = torch.tensor([0] * 50 + [1] * 3)
    config = DataConfig(target=10.0, test=10.0)
    with pytest.raises(
        ValueError, match=r"`labels` is too small.*class 1 has 0 images"
    ):
        split(labels, config, False)


@pytest.mark.parametrize("name", ["labels", "target", "test"])
def test_more_images_than_there_are_is_refused(name):
    with pytest.raises(ValueError, match=rf"data.{name} asks for 5000 images, but"):
        split(BALANCED, replace(CONFIG, **{name: 5000.0}), False)

"""Long-tailed training sets: which images are kept."""

from dataclasses import replace

import pytest
import torch
from reading import flat, write_images

from infaug.config import DataConfig, TailConfig
from infaug.data.class_sizes import tail_sizes, thin
from infaug.data.digits import digits
from infaug.data.inspection import inspect
from infaug.data.problem import load_splits
from infaug.data.source import load
from infaug.data.splits import split

KINDS = ("exponential", "zipf")


def sizes(kind, seed=0):
    config = DataConfig(tail=TailConfig(kind=kind, ratio=10.0), seed=seed)
    return load_splits(config).train.labels.bincount(minlength=10)


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_class_of_a_run_is_ratio_times_the_smallest(kind):
    found = sizes(kind).sort().values
    assert int(found[-1]) / int(found[0]) == pytest.approx(10, rel=0.05)


def test_exponential_sizes_fall_by_a_constant_factor_and_zipf_by_a_power():
    plenty = torch.full((5,), 10_000)
    falling = tail_sizes(plenty, TailConfig(kind="exponential", ratio=16))
    assert falling.tolist() == [10_000, 5000, 2500, 1250, 625]
    power = tail_sizes(plenty, TailConfig(kind="zipf", ratio=25))
    assert power.tolist() == [round(10_000 / i**2) for i in range(1, 6)]


@pytest.mark.parametrize("kind", KINDS)
def test_no_class_is_asked_for_more_than_it_has_nor_left_without_any(kind):
    few = torch.tensor([50, 3, 40, 2])
    found = tail_sizes(few, TailConfig(kind=kind, ratio=1000))
    assert (found <= few).all()
    assert found.min() >= 1


def test_only_the_training_split_is_thinned():
    labels = digits().labels
    plain = split(labels, DataConfig(), test_given=False)
    tailed = DataConfig(tail=TailConfig(kind="zipf"))
    found = split(labels, tailed, test_given=False)
    for name in ("influence", "selection", "test", "unlabelled"):
        assert getattr(found, name).equal(getattr(plain, name))
    assert torch.isin(found.train, plain.train).all()
    assert len(found.train) < len(plain.train)


def test_the_order_of_classes_is_drawn_from_the_seed():
    assert sizes("zipf").equal(sizes("zipf"))
    orders = {tuple(sizes("zipf", seed=seed).argsort().tolist()) for seed in range(4)}
    assert len(orders) == 4


def test_a_larger_ratio_keeps_a_subset_of_small_classes():
    labels, train = torch.arange(3).repeat(90), torch.arange(270)
    wide, narrow = (
        thin(train, labels, TailConfig(kind="exponential", ratio=ratio), 0)
        for ratio in (2.0, 30.0)
    )
    assert torch.isin(narrow, wide).all()


def test_balanced_classes_weigh_alike_and_no_image_is_lost():
    tail = TailConfig(kind="exponential", ratio=16)
    plain = load_splits(DataConfig(tail=tail))  # Methods are compared on tails as such.
    even = load_splits(DataConfig(tail=tail, balance=1))
    counts = even.train.labels.bincount()
    assert counts.max() / counts.min() < 1.7  # whole times each
    assert even.at.train.unique().equal(plain.at.train)
    half = load_splits(DataConfig(tail=tail, balance=0.5)).train.labels.bincount()
    assert half.max() / half.min() == pytest.approx(4, rel=0.2)


def test_classes_that_are_uneven_by_themselves_are_balanced_and_the_plan_says_so(
    tmp_path,
):
    each = (("cat", 32), ("dog", 4))
    files = {f"{name}/{k}.png": flat(5 * k) for name, num in each for k in range(num)}
    config = DataConfig(source=write_images(tmp_path, files), target=4, test=2)
    counts = load_splits(config).train.labels.bincount().tolist()
    lines = inspect(load(config), config)
    (line,) = [line for line in lines if line.startswith("balance")]
    assert f"count as {sum(counts)} " in line
    once = load_splits(replace(config, balance=0)).train.labels.bincount().tolist()
    assert once[0] == counts[0]
    assert counts[1] >= 3 * once[1]

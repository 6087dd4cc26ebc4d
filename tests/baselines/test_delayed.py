"""Delayed resampling: which images are drawn, and from when on."""

import pytest
import torch

from infaug.baselines.long_tail import balanced_indices, delayed_indices
from infaug.data.batches import batch_indices

LABELS = torch.tensor([0] * 90 + [2] * 9 + [3])  # no image of class 1


def test_before_the_switch_images_come_as_without_it_and_balanced_after():
    for step in (0, 9):
        plain = batch_indices(100, 16, step, 0, "doc")
        assert delayed_indices(LABELS, 16, step, 10, 0, "doc").equal(plain)
    late = delayed_indices(LABELS, 16, 10, 10, 0, "doc")
    assert late.equal(balanced_indices(LABELS, 16, 10, 0, "doc"))


def test_every_class_is_drawn_as_often_and_each_of_its_images():
    drawn = torch.cat([balanced_indices(LABELS, 100, step, 0) for step in range(100)])
    shares = LABELS[drawn].bincount(minlength=4) / len(drawn)
    assert shares.tolist() == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3], abs=0.02)
    times = drawn.bincount(minlength=100)
    assert times[:90].min() > 0
    assert times[90:99].float().std() < 0.15 * times[90:99].float().mean()


def test_a_batch_is_a_function_of_its_step():
    again = [balanced_indices(LABELS, 8, step, 0) for step in (5, 5, 6)]
    assert again[0].equal(again[1])
    assert not again[0].equal(again[2])

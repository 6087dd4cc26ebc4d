"""Batches for long tails: what they change and leave; and what eKLD is."""

import pytest
import torch
from git_networks import GitConfig, build_networks
from git_transfer import InvarianceTransfer
from tail_batches import TailBatches, balanced_indices
from tail_methods import divergence, expected_divergence
from torch.nn import functional as F

from infaug.data.batches import Batches
from infaug.data.dataset import to_float
from infaug.data.digits import digits

LABELS = torch.tensor([0] * 90 + [2] * 9 + [3])  # no image of class 1


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


WHOLE = digits().select(torch.arange(200))


def batches(groups=range(2)):
    return Batches(WHOLE, 16, 2, groups, "cpu", 2, 0, "classify")


def transfer():
    sizes = WHOLE.labels.bincount(minlength=10)
    config = GitConfig(width=2, threshold=int(sizes.median()), portion=1.0)
    networks = build_networks((1, 16, 16), config, 0)
    return InvarianceTransfer(networks[0], sizes, config)


def test_without_a_method_they_are_the_batches_they_were():
    plain, same = batches().at(3), TailBatches(batches()).at(3)
    assert same.x.equal(plain.x)
    assert same.y.equal(plain.y)
    assert same.rng.seed_key == plain.rng.seed_key


def test_resampling_changes_late_batches_alone():
    late = TailBatches(batches(), balanced_from=3)
    for step in (0, 2):
        assert late.at(step).x.equal(batches().at(step).x)
    drawn = balanced_indices(WHOLE.labels, 16, 3, 0, "classify")
    assert late.positions(3).equal(drawn)
    assert late.at(3).x[:, 0].equal(to_float(WHOLE.images[drawn]))


def test_each_view_of_an_image_of_a_small_class_is_transformed_apart():
    given = transfer()
    found, plain = TailBatches(batches(), transfer=given).at(0), batches().at(0)
    is_small = given.is_small[plain.y.argmax(dim=1)]
    changed = (found.x != plain.x).flatten(2).any(dim=2)
    assert changed.equal(is_small[:, None].expand(-1, 2))
    assert 0 < is_small.sum() < 16
    assert not found.x[is_small, 0].equal(found.x[is_small, 1])


def test_two_workers_together_make_the_batch_of_one():
    whole = TailBatches(batches(), 0, transfer()).at(1)
    halves = [
        TailBatches(batches(range(g, g + 1)), 0, transfer()).at(1) for g in range(2)
    ]
    torch.testing.assert_close(whole.x, torch.cat([half.x for half in halves]))
    assert whole.y.equal(torch.cat([half.y for half in halves]))


GENERATOR = torch.Generator().manual_seed(0)

IMAGES = torch.randint(256, (7, 1, 4, 4), generator=GENERATOR).to(torch.uint8)

CLASSES = torch.tensor([0, 1, 1, 3, 0, 1, 3])


def linear(x):
    weights = torch.linspace(-2, 2, 64).view(16, 4).to(x.dtype)
    return x.flatten(1) @ weights


def test_the_divergence_of_two_methods_is_that_of_the_formula():
    p, q = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.9, 0.1]])
    expected = 0.5 * torch.tensor(0.5 / 0.9).log() + 0.5 * torch.tensor(5.0).log()
    assert float(divergence(p.log(), q.log())) == pytest.approx(float(expected))


def test_what_changes_no_prediction_has_none():
    found = expected_divergence(linear, IMAGES, [IMAGES, IMAGES], CLASSES)
    assert found == (0, 0, None, 0)


def test_each_class_has_the_mean_over_its_images_and_draws():
    flips = [IMAGES.flip(0), IMAGES.flip(-1)]
    found = expected_divergence(
        linear, IMAGES, flips, CLASSES, dtype=torch.float64, batch_size=3
    )
    p, *others = (
        F.softmax(linear((x.float() / 255).double()), dim=1) for x in (IMAGES, *flips)
    )
    for label in (0, 1, 3):
        at = label == CLASSES
        each = [(p * (p / q).log()).sum(1)[at] for q in others]
        expected = float(torch.stack(each).mean())
        assert found[label] == pytest.approx(expected, rel=1e-9)
    assert found[2] is None

"""eKLD of each class: what it is and what it is not."""

import pytest
import torch
from torch.nn import functional as F

from infaug.classify.invariance import divergence, expected_divergence

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randint(256, (7, 1, 4, 4), generator=GENERATOR).to(torch.uint8)
LABELS = torch.tensor([0, 1, 1, 3, 0, 1, 3])


def linear(x):
    weights = torch.linspace(-2, 2, 64).view(16, 4).to(x.dtype)
    return x.flatten(1) @ weights


def test_the_divergence_of_two_rows_is_that_of_the_formula():
    p, q = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.9, 0.1]])
    expected = 0.5 * torch.tensor(0.5 / 0.9).log() + 0.5 * torch.tensor(5.0).log()
    assert float(divergence(p.log(), q.log())) == pytest.approx(float(expected))


def test_what_changes_no_prediction_has_none():
    found = expected_divergence(linear, IMAGES, [IMAGES, IMAGES], LABELS)
    assert found == (0, 0, None, 0)


def test_each_class_has_the_mean_over_its_images_and_draws():
    draws = [IMAGES.flip(0), IMAGES.flip(-1)]
    found = expected_divergence(
        linear, IMAGES, draws, LABELS, dtype=torch.float64, batch_size=3
    )
    p, *others = (
        F.softmax(linear((x.float() / 255).double()), dim=1) for x in (IMAGES, *draws)
    )
    for label in (0, 1, 3):
        at = label == LABELS
        each = [(p * (p / q).log()).sum(1)[at] for q in others]
        expected = float(torch.stack(each).mean())
        assert found[label] == pytest.approx(expected, rel=1e-9)
    assert found[2] is None

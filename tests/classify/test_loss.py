"""Losses over views."""

import pytest
import torch
from torch.nn import functional as F

from infaug.classify.loss import (
    loss_of_views,
    mmel_weights,
    soft_cross_entropy,
    weighted_views_loss,
)


def test_hard_labels_give_torchs_cross_entropy():
    logits, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    ours = soft_cross_entropy(logits, F.one_hot(labels, 4).float())
    torch.testing.assert_close(ours, F.cross_entropy(logits, labels, reduction="none"))


def test_soft_labels_give_the_mixture_of_the_hard_losses():
    logits = torch.randn(5, 3)
    hard = [
        soft_cross_entropy(logits, F.one_hot(torch.full((5,), c), 3).float())
        for c in (0, 2)
    ]
    y = torch.tensor([0.3, 0.0, 0.7]).expand(5, 3)
    torch.testing.assert_close(
        soft_cross_entropy(logits, y), 0.3 * hard[0] + 0.7 * hard[1]
    )


def test_views_are_weighted_and_summed_over_samples():
    logits, y = torch.randn(4, 2, 3), torch.softmax(torch.randn(4, 2, 3), 2)
    weights = torch.tensor([[0.25, 0.75]]).expand(4, 2)
    expected = sum(
        float(w[k] * soft_cross_entropy(logits[b : b + 1, k], y[b : b + 1, k]))
        for b, w in enumerate(weights)
        for k in range(2)
    )
    ours = weighted_views_loss(logits, y, weights)
    torch.testing.assert_close(ours, torch.tensor(expected))


def test_bfloat16_logits_are_summed_in_float32():
    loss = weighted_views_loss(
        torch.randn(4, 2, 3).bfloat16(), torch.full((4, 2, 3), 1 / 3), torch.ones(4, 2)
    )
    assert loss.dtype == torch.float32


def views(count=4, k=3):
    rng = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(count, k, 5, generator=rng, dtype=torch.float64)
    y = torch.rand(count, k, 5, generator=rng, dtype=torch.float64).softmax(dim=2)
    weights = torch.rand(count, k, generator=rng, dtype=torch.float64)
    return logits, y, weights / weights.sum(dim=1, keepdim=True)


def losses_of(logits, y):
    return -(y * logits.float().log_softmax(dim=2)).sum(dim=2)


def test_mmel_weights_sum_to_one_and_grow_with_the_loss():
    losses, alike = torch.tensor([[0.1, 0.4, 0.2]]), torch.full((1, 3), 1 / 3)
    found = mmel_weights(losses, alike, 0.5)
    torch.testing.assert_close(found, torch.softmax(2 * losses, dim=1))
    torch.testing.assert_close(found.sum(dim=1), torch.ones(1))


def test_mmel_hard_is_the_loss_by_hand():
    logits, y, weights = views()
    total = 0.0
    for b in range(4):
        each = losses_of(logits, y)[b]
        odds = weights[b] * torch.exp(each / 0.7)
        total += float((odds / odds.sum() * each).sum())
    found = loss_of_views("mmel_hard", 0.7)(logits, y, weights)
    assert float(found) == pytest.approx(total, rel=1e-6)


def test_mmel_soft_is_the_loss_by_hand():
    logits, y, weights = views()
    total = 0.0
    for b in range(4):
        target = logits[b, 0].softmax(dim=0).expand(2, -1)
        each = losses_of(logits[b : b + 1, 1:], target[None])[0]
        odds = weights[b, 1:] * torch.exp(each / 0.7)
        original = losses_of(logits[b : b + 1, :1], y[b : b + 1, :1])
        total += float((odds / odds.sum() * each).sum() + original.sum()) / 2
    found = loss_of_views("mmel_soft", 0.7)(logits, y, weights)
    assert float(found) == pytest.approx(total, rel=1e-6)


def test_the_gradient_of_mmel_hard_is_that_of_the_maximal_expected_loss():
    """Which is lambda log sum_k w_k exp(l_k / lambda): constant weights are exact."""
    logits, y, weights = views()
    logits = logits.float().requires_grad_()
    (ours,) = torch.autograd.grad(
        loss_of_views("mmel_hard", 0.7)(logits, y.float(), weights.float()), logits
    )
    each = losses_of(logits, y.float())
    greatest = 0.7 * torch.logsumexp(weights.float().log() + each / 0.7, dim=1)
    (expected,) = torch.autograd.grad(greatest.sum(), logits)
    torch.testing.assert_close(ours, expected)


def test_mmel_soft_does_not_teach_the_original_to_agree_with_its_views():
    logits, y, weights = views()
    logits = logits.float().requires_grad_()
    loss = loss_of_views("mmel_soft", 0.7)(logits, y.float(), weights.float())
    (found,) = torch.autograd.grad(loss, logits)
    alone = logits[:, :1].softmax(dim=2) - y[:, :1].float()
    torch.testing.assert_close(found[:, :1], alone / 2)

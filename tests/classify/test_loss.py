import torch
from torch.nn import functional as F

from infaug.classify.loss import soft_cross_entropy, weighted_views_loss


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

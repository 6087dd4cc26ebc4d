"""Training images weighed by how much each helps: influence without augmentation.

As learned methods judge images they make, this judges those that are there. What helps
counts by how much, what harms does not count; the learning rate stays what it is, since
weights have the same mean as without.

Ren et al., "Learning to Reweight Examples for Robust Deep Learning", ICML 2018, with
S = (H + damping I)^-1 grad L_val in the place of their grad L_val after one step, as in
Koh & Liang 2017: with the identity for H + damping I the weights are theirs, in the
head. Differs from the paper: S is that of the round, not of each step, and the mean is
over a batch group, so that weights do not depend on how many workers share a batch.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.augment.views import Judge
from infaug.types import Views


def reweigh(views: Views, judge: Judge, group_size: int) -> Views:
    """The views, every one weighted by itself: see `helpful_shares`.

    `judge` gives the influence of up-weighting an image; its unit does not matter. The
    mean weight of each group of `group_size` samples stays what it was.
    """
    pairs = zip(views.x.unbind(1), views.y.unbind(1), strict=True)
    influence = torch.stack([judge(x, y) for x, y in pairs], dim=1)
    shares = helpful_shares(influence, group_size).to(views.weights.dtype)
    return replace(views, weights=views.weights * shares)


def helpful_shares(
    influence: Float[Tensor, "B K"], group_size: int
) -> Float[Tensor, "B K"]:
    """max(0, -I) over its mean in each group of `group_size` rows; 1 where that is 0.

    Negative influence is helpful. Where nothing helps, or before there is an S (I = 0),
    all count alike.

    >>> helpful_shares(torch.tensor([[-3.0, 1.0], [-1.0, 2.0]]), 2)
    tensor([[3., 0.],
            [1., 0.]])
    >>> helpful_shares(torch.tensor([[0.0], [2.0]]), 2).flatten()
    tensor([1., 1.])
    """
    helpful = (-influence).clamp_min(0).unflatten(0, (-1, group_size))
    means = helpful.mean(dim=(1, 2), keepdim=True)
    found = helpful / torch.where(means > 0, means, 1)
    return torch.where(means > 0, found, torch.ones_like(found)).flatten(0, 1)

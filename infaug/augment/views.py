"""Several augmentations of the same images, side by side, for F to train on."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.randomness import Draws
from infaug.types import Augment, Views


def make_views(
    x: Float[Tensor, "B K C H W"],
    y: Float[Tensor, "B Y"],
    augments: Sequence[Augment],
    draws: Draws,
) -> Views:
    """One view per augmentation of every image, equally weighted.

    The k-th augmentation begins from x[:, k].
    """
    views = [
        augment(start, draws.fork("view", k))
        for k, (start, augment) in enumerate(zip(x.unbind(1), augments, strict=True))
    ]
    weights = torch.full((len(x), len(views)), 1 / len(views), device=x.device)
    return Views(torch.stack(views, dim=1), y, weights)


Judge = Callable[[Float[Tensor, "B C H W"], Float[Tensor, "B Y"]], Float[Tensor, "B"]]


def choose_view(
    x: Float[Tensor, "B C H W"],
    y: Float[Tensor, "B Y"],
    augment: Augment,
    draws: Draws,
    judge: Judge,
    num_candidates: int,
) -> Float[Tensor, "B C H W"]:
    """Of several views of each image, the one that `judge` scores least."""
    views = [augment(x, draws.fork("candidate", k)) for k in range(num_candidates)]
    best = torch.stack([judge(view, y) for view in views]).argmin(dim=0)
    return torch.stack(views)[best, torch.arange(len(x), device=x.device)]


def weigh_views(views: Views, judge: Judge, temperature: float) -> Views:
    """The views, weighted by softmax(-score / temperature) within each sample."""
    scores = torch.stack([judge(x, views.y) for x in views.x.unbind(1)], dim=1)
    return replace(views, weights=torch.softmax(-scores / temperature, dim=1))

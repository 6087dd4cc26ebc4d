"""Several augmentations of the same images, side by side, for F to train on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.randomness import RandomNumbers
from infaug.types import Augment, Mixer, Views


@dataclass(frozen=True, eq=False)
class Mixed:
    """Augmented images, mixed with those of their batch group; labels mix with them.

    The augmentation draws what it draws without a mixer, so rows stay paired.
    """

    augment: Augment
    mixer: Mixer

    def __call__(
        self, x: Float[Tensor, "B C H W"], rng: RandomNumbers
    ) -> Float[Tensor, "B C H W"]:
        """The mixed images, for whom labels do not matter, such as H."""
        return self.labelled(x, x.new_zeros(len(x), 1), rng)[0]

    def labelled(
        self, x: Float[Tensor, "B C H W"], y: Float[Tensor, "B Y"], rng: RandomNumbers
    ) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B Y"]]:
        """The mixed images and their soft labels."""
        return self.mixer(self.augment(x, rng), y, rng.fork("mix"))


def make_views(
    x: Float[Tensor, "B K C H W"],
    y: Float[Tensor, "B Y"],
    augments: Sequence[Augment],
    rng: RandomNumbers,
) -> Views:
    """One view per augmentation of every image, equally weighted.

    The k-th augmentation begins from x[:, k]; its label is y where nothing is mixed.
    """
    views, labels = [], []
    for k, (start, augment) in enumerate(zip(x.unbind(1), augments, strict=True)):
        forked = rng.fork("view", k)
        if isinstance(augment, Mixed):
            view, label = augment.labelled(start, y, forked)
        else:
            view, label = augment(start, forked), y
        views.append(view)
        labels.append(label)
    weights = torch.full((len(x), len(views)), 1 / len(views), device=x.device)
    return Views(torch.stack(views, dim=1), torch.stack(labels, dim=1), weights)


Judge = Callable[[Float[Tensor, "B C H W"], Float[Tensor, "B Y"]], Float[Tensor, "B"]]


class Identity:
    """x_aug = x."""

    def __call__(
        self, x: Float[Tensor, "B C H W"], rng: RandomNumbers
    ) -> Float[Tensor, "B C H W"]:
        """The images themselves."""
        return x


class Compose:
    """x_aug = last(... first(x)); every part draws its own numbers."""

    def __init__(self, *parts: Augment):
        self.parts = parts

    def __call__(
        self, x: Float[Tensor, "B C H W"], rng: RandomNumbers
    ) -> Float[Tensor, "B C H W"]:
        """One view of each image."""
        for index, part in enumerate(self.parts):
            x = part(x, rng.fork(index))
        return x

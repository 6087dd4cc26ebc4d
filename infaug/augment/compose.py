"""One augmentation after another."""

from jaxtyping import Float
from torch import Tensor

from infaug.randomness import Draws
from infaug.types import Augment


class Compose:
    """x_aug = last(... first(x)); every part draws its own numbers."""

    def __init__(self, *parts: Augment):
        self.parts = parts

    def __call__(
        self, x: Float[Tensor, "B C H W"], draws: Draws
    ) -> Float[Tensor, "B C H W"]:
        """One view of each image."""
        for index, part in enumerate(self.parts):
            x = part(x, draws.fork(index))
        return x

"""No augmentation."""

from jaxtyping import Float
from torch import Tensor

from infaug.randomness import Draws


class Identity:
    """x_aug = x."""

    def __call__(
        self, x: Float[Tensor, "B C H W"], draws: Draws
    ) -> Float[Tensor, "B C H W"]:
        """The images themselves."""
        return x

"""TrivialAugmentWide: one operation at a random magnitude."""

from jaxtyping import Float
from torch import Tensor
from torchvision.transforms import v2

from infaug.augment.per_image import per_image
from infaug.randomness import Draws


class TrivialAugment:
    """One of torchvision's 14 operations at a random magnitude, for each image.

    Müller and Hutter (2021), the wide ranges; nothing to tune. Bilinear, as for
    RandAugment. Outside lies zero.
    """

    def __init__(self):
        self.policy = v2.TrivialAugmentWide(interpolation=v2.InterpolationMode.BILINEAR)

    def __call__(
        self, x: Float[Tensor, "B C H W"], draws: Draws
    ) -> Float[Tensor, "B C H W"]:
        """One view of each image."""
        return per_image(x, draws, self.policy)

"""Random erasing: a rectangle of some images is blank (Cutout)."""

from jaxtyping import Float
from torch import Tensor
from torchvision.transforms import v2

from infaug.augment.per_image import per_image
from infaug.randomness import Draws


class RandomErasing:
    """A rectangle of 2 to 33 % of the area is zero, drawn for each image on its own.

    Zhong et al. (2020), as torchvision draws it: aspect 0.3 to 3.3. Cutout (DeVries and
    Taylor, 2017) is the same with one square size in every image.

    Args:
        probability: share of images that lose a rectangle.

    Raises:
        ValueError: if `probability` is none.
    """

    def __init__(self, probability: float = 0.5):
        if not 0 <= probability <= 1:
            raise ValueError(f"the probability must lie in 0..1, got {probability}")
        self.policy = v2.RandomErasing(probability)

    def __call__(
        self, x: Float[Tensor, "B C H W"], draws: Draws
    ) -> Float[Tensor, "B C H W"]:
        """One view of each image."""
        return per_image(x, draws, self.policy)

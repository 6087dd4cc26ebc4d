"""RandAugment: two operations at a fixed magnitude."""

from jaxtyping import Float
from torch import Tensor
from torchvision.transforms import v2

from infaug.augment.per_image import per_image
from infaug.randomness import Draws

MAGNITUDES = 31


class RandAugment:
    """Two of torchvision's 14 operations, drawn for each image on its own.

    Cubuk et al. (2020). Bilinear, where torchvision's default is the nearest pixel:
    a rival should not lose by that. Outside lies zero.

    Args:
        magnitude: strength of every operation, 0 to 30; 9 is torchvision's default.

    Raises:
        ValueError: if there is no such magnitude.
    """

    def __init__(self, magnitude: float = 9):
        if magnitude not in range(MAGNITUDES):
            raise ValueError(
                f"the magnitude must be one of 0..{MAGNITUDES - 1}, got {magnitude}"
            )
        self.policy = v2.RandAugment(
            num_ops=2,
            magnitude=int(magnitude),
            num_magnitude_bins=MAGNITUDES,
            interpolation=v2.InterpolationMode.BILINEAR,
        )

    def __call__(
        self, x: Float[Tensor, "B C H W"], draws: Draws
    ) -> Float[Tensor, "B C H W"]:
        """One view of each image."""
        return per_image(x, draws, self.policy)

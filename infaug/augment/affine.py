"""The base augmentation of grey images: a random affine map without flip."""

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.randomness import Draws
from infaug.transform.spatial import inverse_affine, warp_affine


class RandomAffine:
    """Rotation, translation, scale and shear, drawn for each image on its own.

    The default ranges are those of torchvision's RandomAffine(degrees=20,
    translate=0.075, scale=(0.85, 1.15), shear=11), which `base` has in all tables;
    torchvision draws once a batch, this draws once an image. Outside lies zero.

    Args:
        degrees: rotation lies within plus and minus this.
        strength: factor on the ranges of translation, scale and shear, at most 5.

    Raises:
        ValueError: if a range is negative or would turn the image inside out.
    """

    def __init__(self, degrees: float = 20.0, strength: float = 1.0):
        if not (0 <= degrees <= 180 and 0 <= strength <= 5):
            raise ValueError(
                "degrees must lie in 0..180 and strength in 0..5, "
                f"got {degrees} and {strength}"
            )
        self.degrees = degrees
        self.translate = 0.075 * strength  # of the image side
        self.scale = (1 - 0.15 * strength, 1 + 0.15 * strength)
        self.shear_deg = 11.0 * strength

    def __call__(
        self, x: Float[Tensor, "B C H W"], draws: Draws
    ) -> Float[Tensor, "B C H W"]:
        """One random affine view of each image."""
        angle = torch.deg2rad(draws.uniform(-self.degrees, self.degrees))
        shear = torch.deg2rad(draws.uniform(-self.shear_deg, self.shear_deg))
        scale = draws.uniform(*self.scale)
        # Normalised coordinates: 2 is one image side.
        shift = draws.uniform(-2 * self.translate, 2 * self.translate, 2)
        source = inverse_affine(angle, shear, scale).to(x.dtype)
        return warp_affine(x, source, shift.to(x.dtype)).clamp(0, 1)

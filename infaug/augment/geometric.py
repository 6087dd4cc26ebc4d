"""Crops, flips and affine maps, drawn for each image on its own."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from infaug.data.crops import AREA, LOG_ASPECT
from infaug.randomness import RandomNumbers
from infaug.transform.spatial import inverse_affine, warp_affine


def flip_some(
    x: Float[Tensor, "B C H W"], rng: RandomNumbers
) -> Float[Tensor, "B C H W"]:
    """Each image mirrored left to right with probability one half."""
    flips = (rng.uniform(0, 1) < 0.5)[:, None, None, None]
    return torch.where(flips, x.flip(-1), x)


def crop_some(
    x: Float[Tensor, "B C H W"], pad_px: int, rng: RandomNumbers
) -> Float[Tensor, "B C H W"]:
    """Each image padded with zeros and cropped back to size, whole pixels apart."""
    height, width = x.shape[2:]
    corner = rng.uniform(0, 2 * pad_px + 1, 2).floor().long()
    padded = F.pad(x, (pad_px,) * 4)
    rows = corner[:, :1] + torch.arange(height, device=x.device)
    columns = corner[:, 1:] + torch.arange(width, device=x.device)
    sample = torch.arange(len(x), device=x.device)[:, None, None]
    # Advanced indices around a slice: the result is [B, H, W, C].
    crops = padded[sample, :, rows[:, :, None], columns[:, None, :]]
    return crops.permute(0, 3, 1, 2)


class Crop:
    """Zero-pad by a seventh (4 at 28 px), crop back to size: the papers' on MNIST."""

    def __call__(
        self, x: Float[Tensor, "B C H W"], rng: RandomNumbers
    ) -> Float[Tensor, "B C H W"]:
        """One crop of each image."""
        return crop_some(x, min(x.shape[2:]) // 7, rng)


class CropFlip:
    """Zero-pad by 4, crop back to size at random, flip: the standard on CIFAR.

    He et al. (2016), section 4.2.
    """

    def __call__(
        self, x: Float[Tensor, "B C H W"], rng: RandomNumbers
    ) -> Float[Tensor, "B C H W"]:
        """One crop of each image."""
        return flip_some(crop_some(x, 4, rng), rng.fork("flip"))


class ResizedCropFlip:
    """A random part of 8-100 % of the area and aspect 3/4-4/3, resized, and a flip.

    Szegedy et al. (2015), as torchvision's RandomResizedCrop draws it, except that a
    crop that does not fit is clamped to the image instead of drawn again: ten
    draws an image would make the numbers of one depend on another's.

    Args:
        min_area: share of the image that the smallest crop has.
    """

    def __init__(self, min_area: float = AREA[0]):
        if not 0 < min_area <= 1:
            raise ValueError(f"the smallest area must lie in (0, 1], got {min_area}")
        self.min_area = min_area

    def __call__(
        self, x: Float[Tensor, "B C H W"], rng: RandomNumbers
    ) -> Float[Tensor, "B C H W"]:
        """One crop of each image, bilinear, at the images' own size."""
        area = rng.uniform(self.min_area, AREA[1])
        aspect = rng.uniform(-LOG_ASPECT, LOG_ASPECT).exp()
        extent = torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()], 1)
        extent = extent.clamp(max=1)
        centre = (1 - extent) * rng.uniform(-1, 1, 2)
        theta = torch.cat([torch.diag_embed(extent), centre.unsqueeze(-1)], dim=-1)
        grid = F.affine_grid(theta.to(x.dtype), list(x.shape), align_corners=False)
        crops = F.grid_sample(x, grid, "bilinear", "reflection", align_corners=False)
        return flip_some(crops.clamp(0, 1), rng.fork("flip"))


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
        self, x: Float[Tensor, "B C H W"], rng: RandomNumbers
    ) -> Float[Tensor, "B C H W"]:
        """One random affine view of each image."""
        angle = torch.deg2rad(rng.uniform(-self.degrees, self.degrees))
        shear = torch.deg2rad(rng.uniform(-self.shear_deg, self.shear_deg))
        scale = rng.uniform(*self.scale)
        # Normalised coordinates: 2 is one image side.
        shift = rng.uniform(-2 * self.translate, 2 * self.translate, 2)
        source = inverse_affine(angle, shear, scale).to(x.dtype)
        return warp_affine(x, source, shift.to(x.dtype)).clamp(0, 1)

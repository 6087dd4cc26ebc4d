"""Changes of the images of chosen splits, for experiments: shifts and nuisances.

A shift is the same for all images of a split, a nuisance is drawn for each image.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from infaug.config import NuisanceConfig, ShiftConfig
from infaug.data.dataset import to_float
from infaug.randomness import RandomNumbers, SeedKey

IMAGES_AT_ONCE = 256
Images = Float[Tensor, "B C H W"]  # values 0..1


def apply_shift(
    images: UInt8[Tensor, "N C H W"], shift: ShiftConfig
) -> UInt8[Tensor, "N C H W"]:
    """Images rotated about the centre, then moved, then changed in value.

    Bilinear; black comes in from outside. Values x in [0, 1] become
    clamp(0.5 + contrast * (x - 0.5) + brightness), also where black came in. If nothing
    is to change, the input itself is returned. `shift.splits` is not looked at.
    """
    if shift.is_identity:
        return images
    # In parts: as floats, all images at once could be too large for memory.
    parts = [_shifted(to_float(part), shift) for part in images.split(IMAGES_AT_ONCE)]
    return torch.cat([(255 * part).round().to(torch.uint8) for part in parts])


def _shifted(x: Images, shift: ShiftConfig) -> Images:
    if shift.rotate_deg or shift.translate_px:
        x = transforms.affine(
            x,
            angle=-shift.rotate_deg,  # torchvision counts clockwise here
            translate=[shift.translate_px, shift.translate_px],
            scale=1.0,
            shear=[0.0, 0.0],
            interpolation=InterpolationMode.BILINEAR,
        )
    x = 0.5 + shift.contrast * (x - 0.5) + shift.brightness
    return x.clamp(0, 1)


def resampled(
    x: Images,
    matrix: Float[Tensor, "B 2 2"],
    offset: Float[Tensor, "B 2"] | None = None,
) -> Images:
    """Every output pixel takes the value at matrix @ (right, down) + offset.

    Positions are pixels from the centre, `offset` is in halves of width and height.
    Bilinear; black comes in from outside.
    """
    # Normalised coordinates: a pixel is not as wide as high if the image is not square.
    aspect = x.shape[2] / x.shape[3]
    scale = torch.tensor([[1.0, aspect], [1 / aspect, 1.0]])
    if offset is None:
        offset = matrix.new_zeros(len(x), 2)
    theta = torch.cat([matrix * scale, offset.unsqueeze(-1)], dim=-1)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False).clamp(0, 1)


def rotation(degrees: Float[Tensor, "B"]) -> Float[Tensor, "B 2 2"]:
    """The maps by which `resampled` turns images counter-clockwise."""
    angle = torch.deg2rad(degrees)
    cos, sin = angle.cos(), angle.sin()
    rows = [torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)]
    return torch.stack(rows, dim=-2)


def apply_nuisance(
    images: UInt8[Tensor, "N C H W"], nuisance: NuisanceConfig, *seed_key: SeedKey
) -> UInt8[Tensor, "N C H W"]:
    """Every image with a nuisance of its own; equal keys draw equal ones.

    If there is none, the input itself is returned.
    """
    if nuisance.kind == "none" or len(images) == 0:
        return images
    change = {"rotation": rotated, "background": on_grey, "dilation": dilated}
    amounts = draw_amounts(
        nuisance, RandomNumbers.of_size(len(images), *seed_key, "nuisance")
    )
    parts = [
        change[nuisance.kind](to_float(x), amount)
        for x, amount in zip(
            images.split(IMAGES_AT_ONCE), amounts.split(IMAGES_AT_ONCE), strict=True
        )
    ]
    return torch.cat([(255 * part).round().to(torch.uint8) for part in parts])


def draw_amounts(nuisance: NuisanceConfig, rng: RandomNumbers) -> Float[Tensor, "N"]:
    """How much each image is changed: degrees, grey, or pixels (negative erodes)."""
    if nuisance.kind == "rotation":
        return rng.uniform(-nuisance.rotate_deg, nuisance.rotate_deg)
    if nuisance.kind == "background":
        return rng.uniform(0, nuisance.background)
    return rng.uniform(-nuisance.erode_px, nuisance.dilate_px + 1).floor()


def rotated(x: Images, degrees: Float[Tensor, "B"]) -> Images:
    """Counter-clockwise about the centre; bilinear, black comes in from outside."""
    return resampled(x, rotation(degrees))


def on_grey(x: Images, grey: Float[Tensor, "B"]) -> Images:
    """The image over grey, x + (1 - x) grey: black becomes grey, white stays white."""
    return x + (1 - x) * grey[:, None, None, None]


def dilated(x: Images, pixels: Float[Tensor, "B"]) -> Images:
    """The maximum over squares of side 1 + pixels; of a negative number the minimum."""
    out = x.clone()
    for amount in pixels.unique().long().tolist():
        at = pixels == amount
        out[at] = _widest(x[at], amount) if amount > 0 else -_widest(-x[at], -amount)
    return out


def _widest(x: Tensor, pixels: int) -> Tensor:
    near, far = pixels // 2, (pixels + 1) // 2
    padded = F.pad(x, (near, far, near, far), mode="replicate")
    return F.max_pool2d(padded, 1 + pixels, stride=1)


# Images [N C H W] with values 0..1, and random numbers, to shifted images, unclamped.
Shift = Callable[[Tensor, torch.Generator], Tensor]


def _rotated(x: Tensor, contrast: float = 1.0, brightness: float = 0.0) -> Tensor:
    shift = ShiftConfig(rotate_deg=40, contrast=contrast, brightness=brightness)
    return apply_shift((255 * x).round().to(torch.uint8), shift).float() / 255


def _inverted(x: Tensor, numbers: torch.Generator) -> Tensor:
    moved = round(0.15 * x.shape[3])
    return 1 - F.pad(x, (moved, 0, moved, 0))[..., : x.shape[2], : x.shape[3]]


def _blurred(x: Tensor, numbers: torch.Generator) -> Tensor:
    soft = transforms.gaussian_blur(x, [7, 7], [1.2, 1.2])
    return soft + 0.25 * torch.randn(x.shape, generator=numbers)


def _clutter(x: Tensor, numbers: torch.Generator) -> Tensor:
    """Smooth random fields behind the digits, up to 0.7 bright."""
    coarse = torch.rand(len(x), 1, 5, 5, generator=numbers)
    return torch.maximum(x, 0.7 * F.interpolate(coarse, x.shape[2:], mode="bilinear"))


def _elastic(x: Tensor, numbers: torch.Generator) -> Tensor:
    """Smooth random displacements, standard deviation 0.2 of half a side."""
    coarse = 0.2 * torch.randn(len(x), 2, 4, 4, generator=numbers)
    moved = F.interpolate(coarse, x.shape[2:], mode="bicubic").permute(0, 2, 3, 1)
    grid = F.affine_grid(
        torch.eye(2, 3).repeat(len(x), 1, 1), list(x.shape), align_corners=False
    )
    return F.grid_sample(x, grid + moved, align_corners=False)


SHIFTS: dict[str, Shift] = {
    "as trained": lambda x, numbers: x,
    "rotated": lambda x, numbers: _rotated(x),
    "rotated, flat": lambda x, numbers: _rotated(x, contrast=0.4, brightness=0.2),
    "inverted, moved": _inverted,
    "blurred, noisy": _blurred,
    "clutter": _clutter,
    "elastic": _elastic,
}

"""A known change of images, for experiments in which use differs from training."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from infaug.config import ShiftConfig
from infaug.data.dataset import to_float

IMAGES_AT_ONCE = 256


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


def _shifted(
    x: Float[Tensor, "B C H W"], shift: ShiftConfig
) -> Float[Tensor, "B C H W"]:
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

"""Corruptions that lose detail.

Images [B, C, H, W] in [0, 1]. Lengths are in 1/32 of the image's shorter side, so that
a severity means the same for images of any size.
"""

import io
import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from infaug.data.shift import resampled
from infaug.randomness import Draws

UNITS_A_SIDE = 32
TAPS = 9  # images averaged along the path of a motion


def gaussian_blur(
    x: Float[Tensor, "B C H W"], deviation: float, draws: Draws
) -> Float[Tensor, "B C H W"]:
    """Convolved with a Gaussian of this standard deviation; nothing is drawn."""
    sigma = deviation * min(x.shape[2:]) / UNITS_A_SIDE
    side = 2 * min(math.ceil(3 * sigma), min(x.shape[2:]) - 1) + 1
    return transforms.gaussian_blur(x, [side, side], [sigma, sigma])


def motion_blur(
    x: Float[Tensor, "B C H W"], length: float, draws: Draws
) -> Float[Tensor, "B C H W"]:
    """The mean over a straight path of this length, of random direction."""
    angle = draws.uniform(0, math.pi)
    path = torch.stack([angle.cos(), angle.sin()], dim=1) * length / UNITS_A_SIDE
    still = torch.eye(2).expand(len(x), -1, -1)
    places = torch.linspace(-1, 1, TAPS).tolist()
    return torch.stack([resampled(x, still, at * path) for at in places]).mean(0)


def pixelate(
    x: Float[Tensor, "B C H W"], share: float, draws: Draws
) -> Float[Tensor, "B C H W"]:
    """As if each side had this share of its pixels; nothing is drawn."""
    height, width = x.shape[2:]
    small = max(round(share * height), 1), max(round(share * width), 1)
    coarse = F.interpolate(x, size=small, mode="area")
    return F.interpolate(coarse, size=(height, width), mode="nearest-exact")


def jpeg(
    x: Float[Tensor, "B C H W"], quality: float, draws: Draws
) -> Float[Tensor, "B C H W"]:
    """Written as JPEG of this quality and read again; nothing is drawn."""
    stored = (255 * x).round().to(torch.uint8)
    read = [_through_jpeg(image, int(quality)) for image in stored]
    return torch.stack(read).float() / 255


def _through_jpeg(
    image: UInt8[Tensor, "C H W"], quality: int
) -> UInt8[Tensor, "C H W"]:
    file = io.BytesIO()
    transforms.to_pil_image(image).save(file, "JPEG", quality=quality)
    return transforms.pil_to_tensor(Image.open(file))

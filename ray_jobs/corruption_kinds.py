"""Common corruptions and shifts at five severities, for any images.

The kinds are those of Hendrycks and Dietterich (2019) that need no pictures of their
own (frost) and no library beyond torchvision, and the affine shifts this method is
about. Amounts are theirs for ImageNet where an image's size does not matter (noise,
pixelate, jpeg, contrast, brightness), else our choice. The numbers drawn for an image
are the same at all severities of a corruption. Lengths are in 1/32 of the shorter side,
so that a severity means the same for images of any size.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from infaug.data.dataset import to_float
from infaug.data.shift import Images, resampled, rotation
from infaug.randomness import RandomNumbers, SeedKey


def gaussian_noise(x: Images, deviation: float, rng: RandomNumbers) -> Images:
    """Normal noise of this standard deviation is added."""
    return (x + deviation * rng.normal(*x.shape[1:])).clamp(0, 1)


def shot_noise(x: Images, photons: float, rng: RandomNumbers) -> Images:
    """Poisson counts of mean photons * x, over photons: fewer photons, more noise."""
    counts = poisson(photons * x, rng.uniform(0, 1, *x.shape[1:]))
    return (counts / photons).clamp(0, 1)


def impulse_noise(x: Images, share: float, rng: RandomNumbers) -> Images:
    """This share of values is black or white, either as likely."""
    chance = rng.uniform(0, 1, *x.shape[1:])
    salted = torch.where(chance < share / 2, torch.ones_like(x), x)
    return torch.where(chance > 1 - share / 2, torch.zeros_like(x), salted)


def poisson(mean: Images, uniform: Images) -> Images:
    """Poisson counts by inversion: the least n whose distribution exceeds `uniform`.

    Counts end eight standard deviations above the largest mean.
    """
    largest = float(mean.max())
    density = (-mean).exp()
    below, counts = density.clone(), torch.zeros_like(mean)
    for n in range(1, int(largest + 8 * largest**0.5) + 2):
        counts += uniform >= below
        density = density * mean / n
        below += density
    return counts


UNITS_A_SIDE = 32
TAPS = 9  # images averaged along the path of a motion


def gaussian_blur(x: Images, deviation: float, rng: RandomNumbers) -> Images:
    """Convolved with a Gaussian of this standard deviation; nothing is drawn."""
    sigma = deviation * min(x.shape[2:]) / UNITS_A_SIDE
    side = 2 * min(math.ceil(3 * sigma), min(x.shape[2:]) - 1) + 1
    return transforms.gaussian_blur(x, [side, side], [sigma, sigma])


def motion_blur(x: Images, length: float, rng: RandomNumbers) -> Images:
    """The mean over a straight path of this length, of random direction."""
    angle = rng.uniform(0, math.pi)
    path = torch.stack([angle.cos(), angle.sin()], dim=1) * length / UNITS_A_SIDE
    still = torch.eye(2).expand(len(x), -1, -1)
    places = torch.linspace(-1, 1, TAPS).tolist()
    return torch.stack([resampled(x, still, at * path) for at in places]).mean(0)


def pixelate(x: Images, share: float, rng: RandomNumbers) -> Images:
    """As if each side had this share of its pixels; nothing is drawn."""
    height, width = x.shape[2:]
    small = max(round(share * height), 1), max(round(share * width), 1)
    coarse = F.interpolate(x, size=small, mode="area")
    return F.interpolate(coarse, size=(height, width), mode="nearest-exact")


def jpeg(x: Images, quality: float, rng: RandomNumbers) -> Images:
    """Written as JPEG of this quality and read again; nothing is drawn."""
    read = []
    for image in (255 * x).round().to(torch.uint8):
        file = io.BytesIO()
        transforms.to_pil_image(image).save(file, "JPEG", quality=int(quality))
        read.append(transforms.pil_to_tensor(Image.open(file)))
    return torch.stack(read).float() / 255


def rotate(x: Images, degrees: float, rng: RandomNumbers) -> Images:
    """By this angle, to the left or to the right."""
    return resampled(x, rotation(degrees * _sign(rng)))


def translate(x: Images, share: float, rng: RandomNumbers) -> Images:
    """By this share of the side, in any direction."""
    angle = rng.uniform(0, 2 * math.pi)
    offset = 2 * share * torch.stack([angle.cos(), angle.sin()], dim=1)
    return resampled(x, torch.eye(2).expand(len(x), -1, -1), offset)


def shear(x: Images, degrees: float, rng: RandomNumbers) -> Images:
    """Rows slide along each other, uprights lean by this angle to either side."""
    lean = math.tan(math.radians(degrees)) * _sign(rng)
    matrix = torch.eye(2).repeat(len(x), 1, 1)
    matrix[:, 0, 1] = lean
    return resampled(x, matrix)


def scale(x: Images, factor: float, rng: RandomNumbers) -> Images:
    """Larger or smaller by this factor."""
    power = factor ** _sign(rng)
    return resampled(x, torch.eye(2) * power[:, None, None])


def _sign(rng: RandomNumbers) -> Float[Tensor, "B"]:
    return torch.where(rng.uniform(0, 1) < 0.5, -1.0, 1.0)


OCTAVES = (2, 4, 8, 16)  # cells along a side of the noises that fog is made of


def brightness(x: Images, added: float, rng: RandomNumbers) -> Images:
    """This is added to every value; nothing is drawn."""
    return (x + added).clamp(0, 1)


def contrast(x: Images, factor: float, rng: RandomNumbers) -> Images:
    """Deviations from the image's own mean are multiplied; nothing is drawn."""
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return (mean + factor * (x - mean)).clamp(0, 1)


def fog(x: Images, thickness: float, rng: RandomNumbers) -> Images:
    """(x + thickness * f) / (1 + thickness), f a cloudy noise in [0, 1] per image.

    The noise is a sum over octaves of smooth random fields, each half as strong as the
    one of half its frequency.
    """
    size = (x.shape[2], x.shape[3])
    clouds = torch.zeros(len(x), 1, *size)
    for number, cells in enumerate(OCTAVES):
        coarse = rng.fork(cells).uniform(0, 1, 1, cells + 1, cells + 1)
        smooth = F.interpolate(coarse, size=size, mode="bilinear", align_corners=True)
        clouds = clouds + smooth / 2**number
    clouds = clouds / sum(1 / 2**number for number in range(len(OCTAVES)))
    return (x + thickness * clouds) / (1 + thickness)


SEVERITIES = range(1, 6)
IMAGES_AT_ONCE = 256


@dataclass(frozen=True)
class Corruption:
    """A way to change images, and how much at each severity."""

    change: Callable[[Images, float, RandomNumbers], Images]
    amounts: tuple[float, float, float, float, float]


CORRUPTIONS = {
    "gaussian_noise": Corruption(gaussian_noise, (0.08, 0.12, 0.18, 0.26, 0.38)),
    "shot_noise": Corruption(shot_noise, (60, 25, 12, 5, 3)),
    "impulse_noise": Corruption(impulse_noise, (0.03, 0.06, 0.09, 0.17, 0.27)),
    "gaussian_blur": Corruption(gaussian_blur, (0.75, 1.0, 1.5, 2.0, 3.0)),
    "motion_blur": Corruption(motion_blur, (2, 3.5, 5, 7, 9)),
    "pixelate": Corruption(pixelate, (0.6, 0.5, 0.4, 0.3, 0.25)),
    "jpeg": Corruption(jpeg, (25, 18, 15, 10, 7)),
    "brightness": Corruption(brightness, (0.1, 0.2, 0.3, 0.4, 0.5)),
    "contrast": Corruption(contrast, (0.4, 0.3, 0.2, 0.1, 0.05)),
    "fog": Corruption(fog, (0.5, 0.75, 1.0, 1.5, 2.0)),
    "rotate": Corruption(rotate, (10, 20, 30, 45, 60)),
    "translate": Corruption(translate, (0.04, 0.08, 0.12, 0.16, 0.2)),
    "shear": Corruption(shear, (10, 15, 20, 30, 40)),
    "scale": Corruption(scale, (1.1, 1.2, 1.3, 1.45, 1.6)),
}


def corrupt(
    images: UInt8[Tensor, "N C H W"], name: str, severity: int, *seed_key: SeedKey
) -> UInt8[Tensor, "N C H W"]:
    """All images with one corruption; equal keys give equal ones."""
    if name not in CORRUPTIONS or severity not in SEVERITIES:
        raise ValueError(
            f"there is no corruption {name!r} of severity {severity}: choose among "
            f"{', '.join(CORRUPTIONS)}, and 1 to 5"
        )
    corruption = CORRUPTIONS[name]
    amount = corruption.amounts[severity - 1]
    parts = []
    for number, part in enumerate(images.split(IMAGES_AT_ONCE)):
        rng = RandomNumbers.of_size(len(part), *seed_key, name, number)
        x = corruption.change(to_float(part), amount, rng)
        parts.append((255 * x).round().to(torch.uint8))
    return torch.cat(parts)

"""torchvision's augmentations as ours: one image at a time, by our random numbers.

Bilinear where torchvision's default is the nearest pixel: a rival should not lose by
that. Outside lies zero.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torchvision.transforms import v2

from infaug.randomness import RandomNumbers

SEEDS = 2**24  # Uniform float32 numbers tell that many apart.
MAGNITUDES = 31
SEVERITIES = 10
MIN_SIGMA = 0.1  # pixels
BILINEAR = v2.InterpolationMode.BILINEAR


class PerImage:
    """`transform` of each image, rounded to 8 bits, with its own random numbers.

    torchvision draws from torch's global generator, and once for a whole batch. Here
    that generator is seeded before every image, and put back after.
    """

    def __init__(self, transform: Callable[[Tensor], Tensor]):
        self.transform = transform

    def __call__(
        self, x: Float[Tensor, "B C H W"], rng: RandomNumbers
    ) -> Float[Tensor, "B C H W"]:
        """One view of each image."""
        seeds = rng.uniform(0, SEEDS).long().tolist()
        stored = (255 * x).round().to(torch.uint8)
        with torch.random.fork_rng(devices=[]):
            views = []
            for image, seed in zip(stored, seeds, strict=True):
                torch.default_generator.manual_seed(seed)
                views.append(self.transform(image))
        return torch.stack(views).to(x.dtype) / 255


def trivial_augment() -> PerImage:
    """One of torchvision's 14 operations at a random magnitude.

    Müller and Hutter (2021), the wide ranges; nothing to tune.
    """
    return PerImage(v2.TrivialAugmentWide(interpolation=BILINEAR))


def rand_augment(magnitude: float = 9) -> PerImage:
    """Two of torchvision's 14 operations at one magnitude, 0 to 30.

    Cubuk et al. (2020); 9 is torchvision's default.

    Raises:
        ValueError: if there is no such magnitude.
    """
    if magnitude not in range(MAGNITUDES):
        raise ValueError(
            f"the magnitude must be one of 0..{MAGNITUDES - 1}, got {magnitude}"
        )
    return PerImage(
        v2.RandAugment(
            num_ops=2,
            magnitude=int(magnitude),
            num_magnitude_bins=MAGNITUDES,
            interpolation=BILINEAR,
        )
    )


def auto_augment(policy: str = "imagenet") -> PerImage:
    """One of 25 pairs of operations, searched for on imagenet, cifar10 or svhn.

    Cubuk et al. (2019), torchvision's tables. Nothing is searched for here, so a policy
    has seen many more labels than a training has.

    Raises:
        ValueError: if there is no such policy.
    """
    policies = [known.value for known in v2.AutoAugmentPolicy]
    if policy not in policies:
        raise ValueError(
            f"the policy must be one of {', '.join(policies)}, got {policy!r}"
        )
    return PerImage(v2.AutoAugment(v2.AutoAugmentPolicy(policy), BILINEAR))


def aug_mix(severity: float = 3) -> PerImage:
    """M x + (1 - m) sum_i w_i chain_i(x), severity 1 to 10.

    Hendrycks et al. (2020): three chains of one to three operations, w from a flat
    Dirichlet, m from Beta(1, 1), as torchvision has them. Labels stay. Differs from the
    paper: without its consistency loss, which is one of training and not of views.

    Raises:
        ValueError: if there is no such severity.
    """
    if severity not in range(1, SEVERITIES + 1):
        raise ValueError(f"the severity must be one of 1..{SEVERITIES}, got {severity}")
    return PerImage(_AugMix(severity=int(severity), interpolation=BILINEAR))


class _AugMix(v2.AugMix):
    """torchvision's, with all its random numbers from the CPU, also on a GPU."""

    def _sample_dirichlet(self, params: Tensor) -> Tensor:
        return super()._sample_dirichlet(params.cpu()).to(params.device)


def color_jitter(strength: float = 0.3) -> PerImage:
    """Brightness, contrast, saturation times 1 +- `strength`; hue a sixth of that."""
    if not 0 < strength <= 1:
        raise ValueError(f"the strength must lie in (0, 1], got {strength}")
    return PerImage(v2.ColorJitter(strength, strength, strength, strength / 6))


def gaussian_blur(max_sigma: float = 1.5) -> PerImage:
    """Gaussian blur of a standard deviation up to `max_sigma` pixels."""
    if max_sigma <= MIN_SIGMA:
        raise ValueError(f"sigma must be above {MIN_SIGMA} pixels, got {max_sigma}")
    size = 2 * math.ceil(2 * max_sigma) + 1
    return PerImage(v2.GaussianBlur(size, (MIN_SIGMA, max_sigma)))


def random_flip(probability: float = 0.5) -> PerImage:
    """Mirrored left to right, a share of the images."""
    return PerImage(v2.RandomHorizontalFlip(_share_of_images(probability)))


def random_inversion(probability: float = 0.5) -> PerImage:
    """Negatives (1 - x) of a share of the images."""
    return PerImage(v2.RandomInvert(_share_of_images(probability)))


def random_erasing(probability: float = 0.5) -> PerImage:
    """A rectangle of 2 to 33 % of the area is zero, in a share of the images.

    Zhong et al. (2020), as torchvision draws it: aspect 0.3 to 3.3. Cutout (DeVries and
    Taylor, 2017) is the same with one square size in every image.

    Raises:
        ValueError: if `probability` is none.
    """
    return PerImage(v2.RandomErasing(_share_of_images(probability)))


def _share_of_images(probability: float) -> float:
    if not 0 <= probability <= 1:
        raise ValueError(f"the probability must lie in 0..1, got {probability}")
    return probability

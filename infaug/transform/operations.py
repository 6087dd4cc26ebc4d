"""Ready-made operations on images, in one table with one signature.

An operation changes a batch: `(x, strength, noise) -> x_aug`. Strengths lie in [-1, 1]
and differ from image to image; 0 is the middle of an operation's range, which is the
identity where the operation has two directions (rotate, move, contrast, ...), and half
of the largest change where it has one (blur, noise, ...). The ranges are wide on
purpose: what helps within them is for a policy to find.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as tv

from infaug.randomness import RandomNumbers
from infaug.transform.spatial import affine_of, inverse_affine, warp_affine

# Ranges, reached at strength 1 (and -1).
MAX_ROTATE_DEG = 90.0
MAX_MOVE = 0.3  # of the image side
MAX_ZOOM = 1.8  # factor on lengths; its inverse at -1
MAX_SHEAR_DEG = 35.0
MAX_CONTRAST = 4.0  # factor; its inverse at -1
MAX_BRIGHTNESS = 0.5
MAX_GAMMA = 3.0  # exponent; its inverse at -1
MAX_BLUR = 0.1  # standard deviation, of the image side
MAX_NOISE = 0.4  # standard deviation
MAX_ERASED = 0.5  # of the image side
MAX_HUE = 0.5  # turns


@dataclass(frozen=True, eq=False)
class RowNoise:
    """Random numbers for some images of a batch, whichever others are in the batch."""

    rng: RandomNumbers
    rows: Int64[Tensor, "b"]

    def normal(self, *shape: int) -> Float[Tensor, "b ..."]:
        """Standard normal."""
        return self.rng.normal(*shape)[self.rows]

    def uniform(self, *shape: int) -> Float[Tensor, "b ..."]:
        """Uniform in [0, 1)."""
        return self.rng.uniform(0, 1, *shape)[self.rows]


Operation = Callable[
    [Float[Tensor, "B C H W"], Float[Tensor, "B"], RowNoise], Float[Tensor, "B C H W"]
]


def _each(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _share(strength: Tensor) -> Tensor:
    """Strength as a share of the largest change, for operations of one direction."""
    return (strength + 1) / 2


Affine = tuple[Float[Tensor, "B 2 2"], Float[Tensor, "B 2"]]
"""A linear map on pixels, output to source, and the move after it: `warp_affine`'s."""


def _affine(
    strength: Tensor,
    *,
    angle: Tensor | None = None,
    shear: Tensor | None = None,
    scale: Tensor | None = None,
) -> Affine:
    """Turned, sheared, scaled (radians, factor)."""
    zero = torch.zeros_like(strength)
    angle, shear = (zero if part is None else part for part in (angle, shear))
    source = inverse_affine(angle, shear, zero + 1 if scale is None else scale)
    return source, strength.new_zeros(len(strength), 2)


def _moved(x: Tensor, y: Tensor) -> Affine:
    """Moved by shares of the image side."""
    return _affine(x)[0], 2 * MAX_MOVE * torch.stack([x, y], dim=1)


def _mirrored(strength: Tensor, x: float, y: float) -> Affine:
    source = torch.diag(strength.new_tensor([x, y])).expand(len(strength), 2, 2)
    return source, strength.new_zeros(len(strength), 2)


SPATIAL: dict[str, Callable[[Float[Tensor, "B"]], Affine]] = {
    "rotate": lambda s: _affine(s, angle=s * math.radians(MAX_ROTATE_DEG)),
    "move_x": lambda s: _moved(s, 0 * s),
    "move_y": lambda s: _moved(0 * s, s),
    "scale": lambda s: _affine(s, scale=MAX_ZOOM**s),
    "shear": lambda s: _affine(s, shear=s * math.radians(MAX_SHEAR_DEG)),
    "flip_x": lambda s: _mirrored(s, -1, 1),
    "flip_y": lambda s: _mirrored(s, 1, -1),
}
"""Operations that move pixels: strength -> where they come from."""


def _warped(name: str) -> Operation:
    def warped(x: Tensor, strength: Tensor, noise: RowNoise) -> Tensor:
        return warp_affine(x, *SPATIAL[name](strength))

    return warped


def _identity(x: Tensor, strength: Tensor, noise: RowNoise) -> Tensor:
    return x


def _flip_x(x: Tensor, strength: Tensor, noise: RowNoise) -> Tensor:
    return x.flip(3)


def _flip_y(x: Tensor, strength: Tensor, noise: RowNoise) -> Tensor:
    return x.flip(2)


def _contrast(x: Tensor, strength: Tensor, noise: RowNoise) -> Tensor:
    return 0.5 + _each(MAX_CONTRAST**strength) * (x - 0.5)


def _brightness(x: Tensor, strength: Tensor, noise: RowNoise) -> Tensor:
    return x + _each(MAX_BRIGHTNESS * strength)


def _invert(x: Tensor, strength: Tensor, noise: RowNoise) -> Tensor:
    return 1 - x


def _gamma(x: Tensor, strength: Tensor, noise: RowNoise) -> Tensor:
    return x.clamp_min(1e-6) ** _each(MAX_GAMMA**strength)


def _blurred(x: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur with a standard deviation for each image, in pixels."""
    reach = max(1, math.ceil(3 * MAX_BLUR * max(x.shape[2:])))
    at = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-at.square() / (2 * sigma.clamp_min(0.05).square()[:, None]))
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    for turned in (False, True):
        y = x.transpose(2, 3) if turned else x
        lines = F.pad(y.flatten(1, 2), (reach, reach), "replicate")
        windows = lines.unfold(2, len(at), 1)
        y = torch.einsum("blwk,bk->blw", windows, kernel).unflatten(1, y.shape[1:3])
        x = y.transpose(2, 3) if turned else y
    return x


def _blur(x: Tensor, strength: Tensor, noise: RowNoise) -> Tensor:
    return _blurred(x, _share(strength) * MAX_BLUR * max(x.shape[2:]))


def _sharpen(x: Tensor, strength: Tensor, noise: RowNoise) -> Tensor:
    soft = _blurred(x, x.new_full((len(x),), MAX_BLUR * max(x.shape[2:]) / 2))
    return x + _each(2 * _share(strength)) * (x - soft)


def _noise(x: Tensor, strength: Tensor, noise: RowNoise) -> Tensor:
    normal = noise.normal(*x.shape[1:]).to(x.dtype)
    return x + _each(MAX_NOISE * _share(strength)) * normal


def _posterize(x: Tensor, strength: Tensor, noise: RowNoise) -> Tensor:
    """To between 2 and 32 grey values."""
    steps = _each((2 ** (5 - 4 * _share(strength))).round() - 1)
    return (x * steps).round() / steps


def _solarize(x: Tensor, strength: Tensor, noise: RowNoise) -> Tensor:
    return torch.where(x >= _each(1 - _share(strength)), 1 - x, x)


def _min_max(x: Tensor, strength: Tensor, noise: RowNoise) -> Tensor:
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    return torch.where(high > low, (x - low) / (high - low).clamp_min(1e-6), x)


def _equalize(x: Tensor, strength: Tensor, noise: RowNoise) -> Tensor:
    """Every value becomes the share of its channel's pixels that are no brighter."""
    values = x.flatten(2)
    ordered = values.sort(dim=2).values
    below = torch.searchsorted(ordered, values.contiguous(), right=True).to(x.dtype)
    low, count = below.amin(2, keepdim=True), values.shape[2]
    equal = (below - low) / (count - low).clamp_min(1)
    return torch.where(low < count, equal, values).view_as(x)


def _saturate(x: Tensor, strength: Tensor, noise: RowNoise) -> Tensor:
    """Grey at -1, the colours as they are at 0, twice as strong at 1."""
    grey = tv.rgb_to_grayscale(x, num_output_channels=3)
    return grey + _each(1 + strength) * (x - grey)


def _hue(x: Tensor, strength: Tensor, noise: RowNoise) -> Tensor:
    """Colours turned about the grey axis, which keeps the mean of the channels."""
    angle = 2 * math.pi * MAX_HUE * strength
    own = (1 + 2 * angle.cos()) / 3
    first = (1 - angle.cos()) / 3 - angle.sin() / 3**0.5
    second = (1 - angle.cos()) / 3 + angle.sin() / 3**0.5
    return _each(own) * x + _each(first) * x.roll(1, 1) + _each(second) * x.roll(-1, 1)


def _erase(x: Tensor, strength: Tensor, noise: RowNoise) -> Tensor:
    """A rectangle of mid-grey, as wide and high as `strength` says."""
    height, width = x.shape[2:]
    side = _share(strength)[:, None] * MAX_ERASED
    centre = noise.uniform(2).to(x.dtype)
    ys = (torch.arange(height, device=x.device) + 0.5) / height
    xs = (torch.arange(width, device=x.device) + 0.5) / width
    rows = (ys - centre[:, :1]).abs() < side / 2
    columns = (xs - centre[:, 1:]).abs() < side / 2
    erased = rows[:, None, :, None] & columns[:, None, None, :]
    return torch.where(erased, 0.5, x)


OPERATIONS: dict[str, Operation] = {
    "identity": _identity,
    "rotate": _warped("rotate"),
    "move_x": _warped("move_x"),
    "move_y": _warped("move_y"),
    "scale": _warped("scale"),
    "shear": _warped("shear"),
    "contrast": _contrast,
    "brightness": _brightness,
    "invert": _invert,
    "gamma": _gamma,
    "blur": _blur,
    "noise": _noise,
    "posterize": _posterize,
    "flip_x": _flip_x,
    "flip_y": _flip_y,
    "sharpen": _sharpen,
    "solarize": _solarize,
    "min_max": _min_max,
    "equalize": _equalize,
    "erase": _erase,
    "saturate": _saturate,
    "hue": _hue,
}

# Those whose strength changes nothing.
WITHOUT_STRENGTH = ("identity", "invert", "flip_x", "flip_y", "min_max", "equalize")

# These need three channels.
OF_COLOUR = ("saturate", "hue")


def apply_operations(
    x: Float[Tensor, "B C H W"],
    names: tuple[str, ...],
    chosen: Int64[Tensor, "B"],
    strength: Float[Tensor, "B"],
    rng: RandomNumbers,
) -> Float[Tensor, "B C H W"]:
    """Each image by its own operation, `names[chosen]`, at its own strength.

    Images of one operation are changed together. What an image becomes does not depend
    on the others, nor on which of a batch's groups are held here.
    """
    x_aug = torch.empty_like(x)
    for number, name in enumerate(names):
        rows = (chosen == number).nonzero().squeeze(1)
        if len(rows) == 0:
            continue
        noise = RowNoise(rng.fork(name), rows)
        x_aug[rows] = OPERATIONS[name](x[rows], strength[rows].to(x.dtype), noise)
    return x_aug.clamp(0, 1)


def sources_of(
    names: tuple[str, ...],
    chosen: Int64[Tensor, "B"],
    strength: Float[Tensor, "B"],
    size: tuple[int, int],
) -> Float[Tensor, "B 3 3"]:
    """Where `apply_operations` takes each pixel from: output to source.

    Homogeneous coordinates (x, y, 1), in [-1, 1] within an image of this size. The
    identity for operations that move nothing.
    """
    maps = torch.eye(3, device=strength.device).repeat(len(strength), 1, 1)
    for number, name in enumerate(names):
        rows = (chosen == number).nonzero().squeeze(1)
        if name not in SPATIAL or len(rows) == 0:
            continue
        maps[rows, :2] = affine_of(*SPATIAL[name](strength[rows]), *size)
    return maps

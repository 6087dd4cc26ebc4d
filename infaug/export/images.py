"""Images of every kind that torchvision knows, as floats, and back."""

from collections.abc import Sequence
from typing import Any

import PIL.Image
import torch
from jaxtyping import Float
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional

from infaug.data.dataset import to_float

MODES = {"L": 1, "RGB": 3}
# Resizing may overshoot a little; what lies further out has been normalised.
LEAST, MOST = -0.25, 1.25


def images_among(values: Sequence[Any]) -> list[int]:
    """Positions of the images, by torchvision's rule.

    All PIL images and `tv_tensors.Image`; without any, the first plain tensor.
    """
    kinds = (tv_tensors.Image, PIL.Image.Image)
    explicit = [k for k, value in enumerate(values) if isinstance(value, kinds)]
    plain = [k for k, value in enumerate(values) if _is_plain(value)]
    return explicit or plain[:1]


def _is_plain(value: Any) -> bool:
    return isinstance(value, Tensor) and not isinstance(value, tv_tensors.TVTensor)


def pixels(image: Any) -> Float[Tensor, "*B C H W"]:
    """The image as float32 in [0, 1]."""
    if isinstance(image, PIL.Image.Image):
        if image.mode not in MODES:
            raise ValueError(
                f"a PIL image of mode {image.mode} cannot be augmented: convert it "
                "with image.convert('RGB'), or 'L' where it was trained on grey"
            )
        return to_float(functional.pil_to_tensor(image))
    plain = image.as_subclass(Tensor)
    if plain.ndim < 3:
        raise ValueError(
            f"an image has shape [C, H, W] or [B, C, H, W], got {list(plain.shape)}"
        )
    if plain.dtype == torch.uint8:
        return to_float(plain)
    if not plain.is_floating_point():
        raise ValueError(f"images are uint8 or float, got {plain.dtype}")
    if plain.numel() and not (plain.min() >= LEAST and plain.max() <= MOST):
        raise ValueError(
            f"float images lie in [0, 1], got {plain.min():.3g} to {plain.max():.3g}: "
            "put LearnedAugment before Normalize, and after ToDtype(scale=True)"
        )
    return plain.float()


def restored(x: Float[Tensor, "*B C H W"], like: Any) -> Any:
    """Pixels as an image of the kind they came from; uint8 is rounded."""
    if isinstance(like, PIL.Image.Image):
        return functional.to_pil_image(_to_uint8(x), mode=like.mode)
    x = _to_uint8(x) if like.dtype == torch.uint8 else x.to(like.dtype)
    return same_kind(x, like=like) if isinstance(like, tv_tensors.Image) else x


def same_kind(x: Tensor, *, like: Any) -> Any:
    """`x` as a tv_tensor of the kind of `like`, with its metadata."""
    return tv_tensors.wrap(x, like=like)  # pyright: ignore[reportCallIssue]


def _to_uint8(x: Tensor) -> Tensor:
    return (x * 255).round().to(torch.uint8)

"""What a transform takes: images of every kind, and masks, keypoints and boxes.

A mask is sampled by the flow like the image, nearest instead of bilinear. Points go the
other way, by the inverse of the flow. As in torchvision, (0, 0) is the centre of the
first pixel for keypoints and its outer corner for boxes; boxes are clamped to the image
as their `clamping_mode` says, keypoints are not; `v2.SanitizeBoundingBoxes` and
`v2.SanitizeKeyPoints` drop what has left the image, with its labels.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import PIL.Image
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional

from infaug.data.dataset import to_float
from infaug.export.inverse import fold_share, invert
from infaug.export.view import View

MODES = {"L": 1, "RGB": 3}
# Resizing may overshoot a little; what lies further out has been normalised.
MIN_VALUE, MAX_VALUE = -0.25, 1.25


def images_among(values: Sequence[Any]) -> list[int]:
    """Positions of the images, by torchvision's rule.

    All PIL images and `tv_tensors.Image`; without any, the first plain tensor.
    """
    kinds = (tv_tensors.Image, PIL.Image.Image)
    explicit = [k for k, value in enumerate(values) if isinstance(value, kinds)]
    plain = [k for k, value in enumerate(values) if functional.is_pure_tensor(value)]
    return explicit or plain[:1]


def pixels(image: Any) -> Float[Tensor, "*B C H W"]:
    """The image as float32 in [0, 1].

    Raises:
        ValueError: for modes, types and values that no image of infaug has.
    """
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
    if plain.numel() and not (plain.min() >= MIN_VALUE and plain.max() <= MAX_VALUE):
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


OUTLINE = 16  # points along each side of a box: sides do not stay straight


def move_mask(mask: tv_tensors.Mask, view: View) -> tv_tensors.Mask:
    """The mask under the image's flow; any number of masks for each image.

    Raises:
        ValueError: if it does not fit the image.
    """
    _must_fit("mask", mask, view, tuple(mask.shape[-2:]))
    if mask.numel() == 0:
        return mask
    plain = mask.as_subclass(Tensor)
    # float32 holds integers up to 2^24, and labels may be wider.
    is_wide = plain.dtype in (torch.int32, torch.int64, torch.float64)
    dtype = torch.float64 if is_wide else torch.float32
    stacked = plain.reshape(len(view.flow), -1, *view.size).to(dtype)
    flow = view.flow.to(dtype)
    moved = F.grid_sample(stacked, flow, "nearest", view.padding, align_corners=False)
    return same_kind(moved.reshape(plain.shape).to(plain.dtype), like=mask)


def move_keypoints(points: tv_tensors.KeyPoints, view: View) -> tv_tensors.KeyPoints:
    """The keypoints at the pixels they marked; integers are rounded.

    Raises:
        ValueError: if they do not fit the image.
    """
    _must_fit("keypoints", points, view, points.canvas_size)
    if points.numel() == 0:
        return points
    plain = points.as_subclass(Tensor)
    moved = _inverted(plain.reshape(len(view.flow), -1, 2).float() + 0.5, view) - 0.5
    return same_kind(_as(moved.reshape(plain.shape), plain), like=points)


def move_boxes(boxes: tv_tensors.BoundingBoxes, view: View) -> tv_tensors.BoundingBoxes:
    """The smallest boxes around the moved outlines, clamped.

    Raises:
        ValueError: if they do not fit the image, or are rotated.
    """
    _must_fit("boxes", boxes, view, boxes.canvas_size)
    if tv_tensors.is_rotated_bounding_format(boxes.format):
        raise ValueError(
            f"rotated boxes ({boxes.format.name}) cannot be moved by a flow: pass "
            "their corners as tv_tensors.KeyPoints, or convert them to XYXY"
        )
    if boxes.numel() == 0:
        return boxes
    exact = same_kind(boxes.as_subclass(Tensor).float(), like=boxes)
    corners = functional.convert_bounding_box_format(
        exact, new_format=tv_tensors.BoundingBoxFormat.XYXY
    )
    plain = corners.as_subclass(Tensor)
    outlines = _outlines(plain.reshape(len(view.flow), -1, 4))
    moved = _inverted(outlines.flatten(1, 2), view).reshape(outlines.shape)
    hull = torch.cat([moved.amin(dim=2), moved.amax(dim=2)], dim=2).reshape(plain.shape)
    clamped = functional.clamp_bounding_boxes(same_kind(hull, like=corners))
    converted = functional.convert_bounding_box_format(clamped, new_format=boxes.format)
    return same_kind(_as(converted.as_subclass(Tensor), boxes), like=boxes)


def _outlines(corners: Float[Tensor, "B N 4"]) -> Float[Tensor, "B N P 2"]:
    """Points along the four sides, corners included."""
    x0, y0, x1, y1 = corners[:, :, None].unbind(-1)
    way = torch.linspace(0, 1, OUTLINE + 1, device=corners.device)
    along_x, along_y = torch.lerp(x0, x1, way), torch.lerp(y0, y1, way)
    sides = [
        torch.stack(torch.broadcast_tensors(x, y), dim=-1)
        for x, y in ((along_x, y0), (x1, along_y), (along_x, y1), (x0, along_y))
    ]
    return torch.cat(sides, dim=2)


def _inverted(points: Float[Tensor, "B P 2"], view: View) -> Float[Tensor, "B P 2"]:
    """Where points of the source are seen; pixels, from the image's outer corner."""
    flow, (height, width) = view.flow, view.size
    size = points.new_tensor([width, height])
    inverse = invert(flow, (points * 2 / size - 1).to(flow.dtype))
    folded = int((fold_share(flow) > 0).sum())
    if folded:
        warnings.warn(
            f"the flow of {folded} of {len(flow)} images folds: what keypoints and "
            "boxes mark there may be seen twice or not at all; lower strength",
            stacklevel=2,
        )
    elif not inverse.found.all():
        lost = int((~inverse.found).sum())
        warnings.warn(
            f"{lost} of {inverse.found.numel()} points of keypoints and boxes may be "
            "off by more than 0.1 px: lower strength",
            stacklevel=2,
        )
    return (inverse.points + 1) * size / 2


def _must_fit(name: str, value: Tensor, view: View, size: tuple[int, ...]) -> None:
    lead = view.lead
    if tuple(size) != view.size or tuple(value.shape[: len(lead)]) != lead:
        raise ValueError(
            f"{name} of shape {list(value.shape)} for images of {tuple(size)} pixels "
            f"do not fit a batch of shape {list(lead)} with images of {view.size}: the "
            "first axes must be those of the batch"
        )


def _as(moved: Tensor, like: Tensor) -> Tensor:
    moved = moved if like.is_floating_point() else moved.round()
    return moved.to(like.dtype)

"""The base augmentation of grey images: a random affine map without flip."""

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.randomness import Draws
from infaug.transform.spatial import flow_of, on_sides, warp


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
        size = x.shape[2:]
        source = inverse_affine(angle, shear, scale).to(x.dtype)
        source = source * on_sides(*size, like=source)
        offset = -(source @ shift.to(x.dtype).unsqueeze(-1)).squeeze(-1)
        identity = torch.eye(2, dtype=x.dtype, device=x.device)
        matrix = (source - identity).flatten(1)[:, :, None, None].expand(-1, -1, *size)
        offset = offset[:, :, None, None].expand(-1, -1, *size)
        return warp(x, flow_of(matrix, offset), padding="zeros").clamp(0, 1)


def inverse_affine(
    angle: Float[Tensor, "B"], shear: Float[Tensor, "B"], scale: Float[Tensor, "B"]
) -> Float[Tensor, "B 2 2"]:
    """Matrices on pixels, output to source, of rotation x shear x scale (radians)."""
    cos, sin, tan = angle.cos(), angle.sin(), shear.tan()
    # Forward map: scale * R(angle) @ [[1, -tan], [0, 1]]; y grows downwards.
    forward = torch.stack(
        [
            torch.stack([cos, -cos * tan + sin], dim=-1),
            torch.stack([-sin, sin * tan + cos], dim=-1),
        ],
        dim=-2,
    )
    return torch.linalg.inv(scale[:, None, None] * forward)

"""x and fields -> x_aug."""

from jaxtyping import Float
from torch import Tensor

from infaug.transform.appearance import recolour
from infaug.transform.fields import Fields
from infaug.transform.spatial import flow_of, warp


def apply_fields(
    x: Float[Tensor, "B C H W"], fields: Fields, *, padding: str
) -> Float[Tensor, "B C H W"]:
    """The image warped, then recoloured, then clamped to [0, 1].

    Differentiable in the fields; the clamp stops the gradient of pixels it cuts.
    """
    warped = warp(x, flow_of(fields.matrix, fields.offset), padding=padding)
    return recolour(warped, fields.filter, fields.bias).clamp(0, 1)

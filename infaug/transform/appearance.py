"""The appearance model: a 1x1 colour filter at every pixel."""

from jaxtyping import Float
from torch import Tensor


def recolour(
    x: Float[Tensor, "B C H W"],
    filter: Float[Tensor, "B CC H W"],
    bias: Float[Tensor, "B C H W"],
) -> Float[Tensor, "B C H W"]:
    """X + (c_w * x + c_b), each pixel with its own C x C filter (not clamped).

    Lee et al., ICLR 2019 submission, section 4.2. Zero fields are the identity.
    """
    channels = x.shape[1]
    mixed = (filter.unflatten(1, (channels, channels)) * x.unsqueeze(1)).sum(dim=2)
    return x + mixed + bias

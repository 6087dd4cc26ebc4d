"""CutMix: a rectangle of another image, and as much of its label."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from infaug.augment.mixing import check_alpha, mixed, partners, shares
from infaug.randomness import Draws


class CutMix:
    """A rectangle of x_j lies in x_i; y mixes as the areas do.

    lam ~ Beta(alpha, alpha); the rectangle has the image's aspect, 1 - lam of its area
    and a uniform centre, and is cut off at the border; lam is then what is left of x_i.
    Yun et al. (2019), rounded to pixels as torchvision rounds. Differs from the paper:
    lam and the rectangle are drawn for each image, not once for all of a batch.

    Args:
        alpha: 1, a uniform lam, in the paper.

    Raises:
        ValueError: if alpha is not positive and finite.
    """

    def __init__(self, alpha: float = 1.0):
        check_alpha(alpha)
        self.alpha = alpha

    def __call__(
        self, x: Float[Tensor, "B C H W"], y: Float[Tensor, "B Y"], draws: Draws
    ) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B Y"]]:
        """Every image with a part of a partner's, and their labels."""
        half = 0.5 * (1 - shares(self.alpha, draws.fork("share"))).sqrt()
        centre = draws.fork("centre").uniform(0, 1, 2)
        rows, columns = (
            _within(centre[:, axis], half, size)
            for axis, size in enumerate(x.shape[2:])
        )
        inside = rows[:, :, None] & columns[:, None, :]
        lam = 1 - inside.double().mean(dim=(1, 2))
        j = partners(draws.fork("partner"))
        return torch.where(inside[:, None], x[j], x), mixed(y, y[j], lam)


def _within(
    centre: Float[Tensor, "B"], half: Float[Tensor, "B"], size: int
) -> Bool[Tensor, "B n"]:
    """Which of `size` pixels in a line lie within `half` of a centre (shares of it)."""
    middle, reach = (size * centre).floor(), (size * half).floor()
    at = torch.arange(size, device=centre.device)
    return (at >= (middle - reach)[:, None]) & (at < (middle + reach)[:, None])

"""MixUp and CutMix: two images in one, and their labels with them."""

import torch
from jaxtyping import Bool, Float, Int64
from scipy.special import betaincinv
from torch import Tensor

from infaug.randomness import RandomNumbers


def partners(rng: RandomNumbers) -> Int64[Tensor, "B"]:
    """Each image's partner: a random permutation of every batch group.

    Partners are never of another group, so they are the same however many workers share
    the batch. An image may be its own.
    """
    keys = rng.uniform(0, 1).view(-1, rng.group_size)
    first = rng.group_size * torch.arange(len(keys), device=keys.device)
    return (first[:, None] + keys.argsort(dim=1, stable=True)).flatten()


def shares(alpha: float, rng: RandomNumbers) -> Float[Tensor, "B"]:
    """How much of itself each image keeps: lam from Beta(alpha, alpha), in float64.

    One uniform number through the inverse of the distribution function: so each image
    takes as many random numbers, and no other library's stream is relied on.
    """
    uniform = rng.uniform(0, 1).double().cpu().numpy()
    return torch.from_numpy(betaincinv(alpha, alpha, uniform)).to(rng.device)


def mixed(
    own: Float[Tensor, "B ..."], other: Float[Tensor, "B ..."], lam: Float[Tensor, "B"]
) -> Float[Tensor, "B ..."]:
    """Method by row, lam own + (1 - lam) other.

    >>> mixed(torch.eye(2), torch.eye(2).flip(0), torch.tensor([0.75, 1.0]))
    tensor([[0.7500, 0.2500],
            [0.0000, 1.0000]])
    """
    return other.lerp(own, lam.to(own.dtype).view(-1, *[1] * (own.dim() - 1)))


def check_alpha(alpha: float) -> None:
    """Refuse what no Beta distribution has.

    Raises:
        ValueError: if alpha is not positive and finite.
    """
    if not 0 < alpha < float("inf"):
        raise ValueError(f"alpha must be positive and finite, got {alpha}")


class MixUp:
    """x = lam x_i + (1 - lam) x_j and y = lam y_i + (1 - lam) y_j.

    lam ~ Beta(alpha, alpha), j from a random permutation. Zhang et al. (2018). Differs
    from the paper: lam is drawn for each image, not once for all of a batch, which has
    the same mean and less noise. The permutation is of the image's batch group.

    Args:
        alpha: 0.1 to 0.4 on ImageNet and 1 on CIFAR in the paper; more mixes more.

    Raises:
        ValueError: if alpha is not positive and finite.
    """

    def __init__(self, alpha: float = 0.2):
        check_alpha(alpha)
        self.alpha = alpha

    def __call__(
        self, x: Float[Tensor, "B C H W"], y: Float[Tensor, "B Y"], rng: RandomNumbers
    ) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B Y"]]:
        """Every image and its label, mixed with a partner's."""
        lam = shares(self.alpha, rng.fork("share"))
        j = partners(rng.fork("partner"))
        return mixed(x, x[j], lam), mixed(y, y[j], lam)


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
        self, x: Float[Tensor, "B C H W"], y: Float[Tensor, "B Y"], rng: RandomNumbers
    ) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B Y"]]:
        """Every image with a part of a partner's, and their labels."""
        half = 0.5 * (1 - shares(self.alpha, rng.fork("share"))).sqrt()
        centre = rng.fork("centre").uniform(0, 1, 2)
        rows, columns = (
            _within(centre[:, axis], half, size)
            for axis, size in enumerate(x.shape[2:])
        )
        inside = rows[:, :, None] & columns[:, None, :]
        lam = 1 - inside.double().mean(dim=(1, 2))
        j = partners(rng.fork("partner"))
        return torch.where(inside[:, None], x[j], x), mixed(y, y[j], lam)


def _within(
    centre: Float[Tensor, "B"], half: Float[Tensor, "B"], size: int
) -> Bool[Tensor, "B n"]:
    """Which of `size` pixels in a line lie within `half` of a centre (shares of it)."""
    middle, reach = (size * centre).floor(), (size * half).floor()
    at = torch.arange(size, device=centre.device)
    return (at >= (middle - reach)[:, None]) & (at < (middle + reach)[:, None])

"""What mixers share: who mixes with whom, and how much of each."""

import torch
from jaxtyping import Float, Int64
from scipy.special import betaincinv
from torch import Tensor

from infaug.randomness import Draws


def partners(draws: Draws) -> Int64[Tensor, "B"]:
    """Each image's partner: a random permutation of every batch group.

    Partners are never of another group, so they are the same however many workers share
    the batch. An image may be its own.
    """
    keys = draws.uniform(0, 1).view(-1, draws.group_size)
    first = draws.group_size * torch.arange(len(keys), device=keys.device)
    return (first[:, None] + keys.argsort(dim=1, stable=True)).flatten()


def shares(alpha: float, draws: Draws) -> Float[Tensor, "B"]:
    """How much of itself each image keeps: lam from Beta(alpha, alpha), in float64.

    One uniform number through the inverse of the distribution function: so each image
    takes as many random numbers, and no other library's stream is relied on.
    """
    uniform = draws.uniform(0, 1).double().cpu().numpy()
    return torch.from_numpy(betaincinv(alpha, alpha, uniform)).to(draws.device)


def mixed(
    own: Float[Tensor, "B ..."],
    other: Float[Tensor, "B ..."],
    lam: Float[Tensor, "B"],
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

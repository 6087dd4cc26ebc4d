"""MixUp: two images through each other, and their labels with them."""

from jaxtyping import Float
from torch import Tensor

from infaug.augment.mixing import check_alpha, mixed, partners, shares
from infaug.randomness import Draws


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
        self, x: Float[Tensor, "B C H W"], y: Float[Tensor, "B Y"], draws: Draws
    ) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B Y"]]:
        """Every image and its label, mixed with a partner's."""
        lam = shares(self.alpha, draws.fork("share"))
        j = partners(draws.fork("partner"))
        return mixed(x, x[j], lam), mixed(y, y[j], lam)

"""Generative invariance transfer: images of small classes in other images' styles."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from infaug.baselines.git.generator import StyleTransfer
from infaug.config import GitConfig
from infaug.randomness import Draws


class InvarianceTransfer:
    """x_aug = T(x, s), s ~ N(0, I), for a portion of the images of small classes.

    Zhou et al. (ICLR 2022, algorithm 1), who transform a fixed part of the batch; here
    each image has its own chance, so that views do not depend on the order of a batch.

    Args:
        transfer: fitted.
        sizes: training images of each class.
        config: threshold on sizes, portion.
    """

    def __init__(
        self, transfer: StyleTransfer, sizes: Int64[Tensor, "Y"], config: GitConfig
    ):
        self.transfer, self.config = transfer.eval(), config
        self.is_small = small_classes(sizes, config.threshold)

    @torch.no_grad()
    def __call__(
        self, x: Float[Tensor, "B C H W"], y: Int64[Tensor, "B"], draws: Draws
    ) -> Float[Tensor, "B C H W"]:
        """One view of each image; `y` are classes."""
        chosen = draws.uniform(0, 1) < self.config.portion
        at = (chosen & self.is_small.to(y.device)[y]).nonzero().squeeze(1)
        if len(at) == 0:
            return x
        style = draws.fork("style").normal(self.config.style_size).to(x)
        return x.index_copy(0, at, self.transfer(x[at], style[at]))


def small_classes(sizes: Int64[Tensor, "Y"], threshold: int) -> Bool[Tensor, "Y"]:
    """Whether a class has no more images than the threshold: the others know enough.

    >>> small_classes(torch.tensor([501, 500, 5]), 500).tolist()
    [False, True, True]
    """
    return sizes <= threshold

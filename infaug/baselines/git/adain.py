"""Adaptive instance normalisation: a style sets the statistics of each channel."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

FLOOR = 1e-5  # on the variance of a constant channel


def adain(
    h: Float[Tensor, "B C H W"],
    mean: Float[Tensor, "B C"],
    deviation: Float[Tensor, "B C"],
) -> Float[Tensor, "B C H W"]:
    """Each channel of each image with the mean and standard deviation given.

    deviation * (h - mean(h)) / std(h) + mean, over positions (Huang and Belongie,
    2017).
    """
    var, centre = torch.var_mean(h, dim=(2, 3), keepdim=True, correction=0)
    normal = (h - centre) * (var + FLOOR).rsqrt()
    return deviation[:, :, None, None] * normal + mean[:, :, None, None]


class AdaptiveBlock(nn.Module):
    """x + AdaIN(conv(relu(AdaIN(conv(x))))), statistics given from outside."""

    def __init__(self, width: int):
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect", bias=False)
            for _ in range(2)
        )

    def forward(
        self, h: Float[Tensor, "B C H W"], statistics: Float[Tensor, "B 4 C"]
    ) -> Float[Tensor, "B C H W"]:
        """`statistics`: mean and deviation of the first layer, then of the second."""
        out = adain(self.convs[0](h), statistics[:, 0], statistics[:, 1]).relu()
        return h + adain(self.convs[1](out), statistics[:, 2], statistics[:, 3])

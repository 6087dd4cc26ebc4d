"""The four-layer all-convolutional network of the papers' MNIST experiments."""

from jaxtyping import Float
from torch import Tensor, nn


class AllConv(nn.Module):
    """Four 3x3 convolutions with BatchNorm and ReLU, then the mean over positions.

    Widths 16, 32, 64, 128; strides 1, 2, 2, 2 (28 px -> 28, 14, 7, 4). "Four-layer
    all-convolutional CNN" is all that Lee et al. (ICLR 2019 submission, section 5.2)
    say; widths, strides and BatchNorm are our choice.
    """

    num_features = 128

    def __init__(self, channels: int):
        super().__init__()
        layers: list[nn.Module] = []
        for width, stride in ((16, 1), (32, 2), (64, 2), (128, 2)):
            layers += [
                nn.Conv2d(channels, width, 3, stride, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
            channels = width
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 128"]:
        """Features of each image."""
        return self.layers(x)

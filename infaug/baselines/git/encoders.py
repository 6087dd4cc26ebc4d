"""What an image shows and how: its content code and its style code."""

from jaxtyping import Float
from torch import Tensor, nn


class ContentEncoder(nn.Module):
    """Image -> content [B, width * 2^halvings, H / 2^halvings, W / 2^halvings].

    Instance normalisation takes the statistics of every channel away, and with them
    what AdaIN can put there: the style.
    """

    def __init__(self, channels: int, width: int, halvings: int, blocks: int):
        super().__init__()
        layers = [*_conv(channels, width, 5, 1), nn.InstanceNorm2d(width), nn.ReLU()]
        for _ in range(halvings):
            layers += [*_conv(width, 2 * width, 4, 2)]
            layers += [nn.InstanceNorm2d(2 * width), nn.ReLU()]
            width *= 2
        layers += [_Block(width) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers)
        self.width = width

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B c h w"]:
        """The content code of each image."""
        return self.layers(x)


class StyleEncoder(nn.Module):
    """Image -> style code [B, S]: no normalisation, then the mean over positions."""

    def __init__(self, channels: int, width: int, halvings: int, style_size: int):
        super().__init__()
        layers = [*_conv(channels, width, 5, 1), nn.ReLU()]
        for _ in range(halvings):
            layers += [*_conv(width, 2 * width, 4, 2), nn.ReLU()]
            width *= 2
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.last = nn.Linear(width, style_size)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B S"]:
        """The style code of each image."""
        return self.last(self.layers(x))


class _Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            *_conv(width, width, 3, 1),
            nn.InstanceNorm2d(width),
            nn.ReLU(),
            *_conv(width, width, 3, 1),
            nn.InstanceNorm2d(width),
        )

    def forward(self, h: Tensor) -> Tensor:
        return h + self.layers(h)


def _conv(inputs: int, outputs: int, kernel: int, stride: int) -> list[nn.Module]:
    """A convolution after which stride 1 keeps sides and stride 2 halves them.

    Sides that cannot be halved are refused by the generator.
    """
    pad = (kernel - stride) // 2
    return [nn.Conv2d(inputs, outputs, kernel, stride, pad, padding_mode="reflect")]

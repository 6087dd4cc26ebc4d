"""The networks of generative invariance transfer: content, style, decoder and critics.

Any image of a data set is put into the style of another one (Zhou et al., ICLR 2022, by
the networks of MUNIT, Huang et al., 2018).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from infaug.config.fields import within
from infaug.randomness import SeedKey, seeded

FLOOR = 1e-5  # on the variance of a constant channel


@dataclass(frozen=True, kw_only=True)
class GitConfig:
    """Generative invariance transfer (Zhou et al., ICLR 2022): a rival for long tails.

    Where our source of the paper is silent, values are those MUNIT is known by (Huang
    et al., 2018) or, for sizes, ours: for 28 px on a CPU.
    """

    style_size: int = 8
    """Length of the style code, whose prior is a standard normal."""
    width: int = 16
    """Channels of the first layer; doubled by each halving of the image."""
    halvings: int = 2
    """Times the image is halved on the way to the content code."""
    blocks: int = 2
    """Residual blocks of the content encoder, and of the decoder."""
    critics: int = 2
    """Least-squares critics: of the whole image, of half its size, ..."""
    steps: int = 3000
    """Updates of the generator; each follows one of the critics."""
    batch_size: int = 32
    """Images of an update."""
    learning_rate: float = 1e-3
    """Of both Adams, betas (0.5, 0.999); falls to 0 on a cosine. Differs from MUNIT's
    1e-4, which is for a hundred times the steps."""
    image_weight: float = 10.0
    """Of the reconstruction of images."""
    style_weight: float = 10.0
    """Of the reconstruction of drawn styles. Differs from MUNIT's 1, with which styles
    were ignored in as few steps as these."""
    content_weight: float = 1.0
    """Of the reconstruction of contents."""
    threshold: int = 500
    """Classes with more training images than this are left alone."""
    portion: float = 0.5
    """Share of the images of small classes that are transformed."""

    def __post_init__(self):
        within(
            self, "git", style_size=">= 1", width=">= 2", critics=">= 1", steps=">= 1",
            batch_size=">= 2", halvings=">= 0", blocks=">= 1", learning_rate="> 0",
            portion="[0, 1]",
        )  # fmt: skip


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


HIDDEN = 64  # units between a style and the statistics it sets


class Decoder(nn.Module):
    """Residual blocks under AdaIN, then doublings back to the image's size.

    Doublings are normalised over all channels and positions of an image (GroupNorm with
    one group): normalisation by channel would undo the style.
    """

    def __init__(
        self, channels: int, width: int, halvings: int, blocks: int, style_size: int
    ):
        super().__init__()
        self.width = width * 2**halvings
        self.blocks = nn.ModuleList(AdaptiveBlock(self.width) for _ in range(blocks))
        self.statistics = nn.Sequential(
            nn.Linear(style_size, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, 4 * self.width * blocks),
        )
        layers: list[nn.Module] = []
        for number in reversed(range(halvings)):
            wide, narrow = width * 2 ** (number + 1), width * 2**number
            layers += [
                nn.Upsample(scale_factor=2),
                nn.Conv2d(wide, narrow, 3, padding=1, padding_mode="reflect"),
                nn.GroupNorm(1, narrow),
                nn.ReLU(),
            ]
        last = nn.Conv2d(width, channels, 5, padding=2, padding_mode="reflect")
        self.rest = nn.Sequential(*layers, last, nn.Sigmoid())

    def forward(
        self, content: Float[Tensor, "B c h w"], style: Float[Tensor, "B S"]
    ) -> Float[Tensor, "B C H W"]:
        """Images with values in [0, 1]."""
        shape = (len(self.blocks), 4, self.width)
        statistics = self.statistics(style).unflatten(1, shape)
        # Deviations begin near one: with zeros nothing would pass.
        statistics = statistics + statistics.new_tensor([0, 1, 0, 1])[:, None]
        for number, block in enumerate(self.blocks):
            content = block(content, statistics[:, number])
        return self.rest(content)


class ContentEncoder(nn.Module):
    """Image -> content [B, width * 2^halvings, H / 2^halvings, W / 2^halvings].

    Instance normalisation takes the statistics of every channel away, and with them
    what AdaIN can put there: the style.
    """

    def __init__(self, channels: int, width: int, halvings: int, blocks: int):
        super().__init__()
        layers: list[nn.Module] = [_conv(channels, width, 5, 1)]
        layers += [nn.InstanceNorm2d(width), nn.ReLU()]
        for _ in range(halvings):
            layers += [_conv(width, 2 * width, 4, 2)]
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
        layers: list[nn.Module] = [_conv(channels, width, 5, 1), nn.ReLU()]
        for _ in range(halvings):
            layers += [_conv(width, 2 * width, 4, 2), nn.ReLU()]
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
            _conv(width, width, 3, 1),
            nn.InstanceNorm2d(width),
            nn.ReLU(),
            _conv(width, width, 3, 1),
            nn.InstanceNorm2d(width),
        )

    def forward(self, h: Tensor) -> Tensor:
        return h + self.layers(h)


def _conv(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Conv2d:
    """A convolution after which stride 1 keeps sides and stride 2 halves them.

    Sides that cannot be halved are refused by the generator.
    """
    pad = (kernel - stride) // 2
    return nn.Conv2d(inputs, outputs, kernel, stride, pad, padding_mode="reflect")


class StyleTransfer(nn.Module):
    """T(x, s) = decoder(content(x), s): one set of networks for one data set.

    It never sees a class, so what it learns of one holds for all. MUNIT (Huang et
    al., 2018) has two data sets, and these networks for each.
    """

    def __init__(self, channels: int, config: GitConfig):
        super().__init__()
        width, halvings, blocks = config.width, config.halvings, config.blocks
        self.content = ContentEncoder(channels, width, halvings, blocks)
        self.style = StyleEncoder(channels, width, halvings, config.style_size)
        self.decoder = Decoder(channels, width, halvings, blocks, config.style_size)

    def forward(
        self, x: Float[Tensor, "B C H W"], style: Float[Tensor, "B S"]
    ) -> Float[Tensor, "B C H W"]:
        """Each image in the style given for it."""
        return self.decoder(self.content(x), style)


class Critics(nn.Module):
    """Scores of patches, at full size, half of it, and so on; 1 is real, 0 is not."""

    def __init__(self, channels: int, config: GitConfig):
        super().__init__()
        self.critics = nn.ModuleList(
            _critic(channels, config.width) for _ in range(config.critics)
        )

    def forward(self, x: Float[Tensor, "B C H W"]) -> list[Float[Tensor, "B _"]]:
        """From each critic, the scores of its patches."""
        scores = []
        for critic in self.critics:
            scores.append(critic(x).flatten(1))
            x = nn.functional.avg_pool2d(x, 2)
        return scores


def build_networks(
    shape: tuple[int, int, int], config: GitConfig, *seed: SeedKey
) -> tuple[StyleTransfer, Critics]:
    """Generator and critics, their initial weights a function of `seed`.

    Raises:
        ValueError: if a side cannot be halved as often as requested.
    """
    channels, height, width = shape
    if height % 2**config.halvings or width % 2**config.halvings:
        raise ValueError(
            f"git.halvings: images of {height} x {width} px cannot be halved "
            f"{config.halvings} times: lower it, or set --data.image-size"
        )
    with seeded(*seed, "git"):
        networks = StyleTransfer(channels, config), Critics(channels, config)
        for module in (m for network in networks for m in network.modules()):
            if isinstance(module, nn.Conv2d | nn.Linear):
                # Under PyTorch's smaller weights a style hardly moved its statistics,
                # and the decoder learned to ignore it before it could be read.
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
    return networks


def _critic(channels: int, width: int) -> nn.Sequential:
    """Three convolutions of stride 2, and one that scores each place."""
    layers: list[nn.Module] = []
    for out in (width, 2 * width, 4 * width):
        layers += [nn.Conv2d(channels, out, 4, 2, padding=1), nn.LeakyReLU(0.2)]
        channels = out
    return nn.Sequential(*layers, nn.Conv2d(channels, 1, 1))

"""The generator: any image of a data set in the style of another one."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from infaug.baselines.git.decoder import Decoder
from infaug.baselines.git.encoders import ContentEncoder, StyleEncoder
from infaug.config import GitConfig
from infaug.randomness import Purpose, generator


class StyleTransfer(nn.Module):
    """T(x, s) = decoder(content(x), s): one set of networks for one data set.

    It is never told a class, so what it learns of one holds for all. MUNIT (Huang et
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
    shape: tuple[int, int, int], config: GitConfig, *seed: Purpose
) -> tuple[StyleTransfer, Critics]:
    """Generator and critics, their initial weights a function of `seed`.

    Args:
        shape: (C, H, W) of the images.
        config: sizes.
        seed: equal ones give equal weights.

    Raises:
        ValueError: if a side cannot be halved as often as asked.
    """
    channels, height, width = shape
    if height % 2**config.halvings or width % 2**config.halvings:
        raise ValueError(
            f"git.halvings: images of {height} x {width} px cannot be halved "
            f"{config.halvings} times: lower it, or set --data.image-size"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(*seed, "git").initial_seed())
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

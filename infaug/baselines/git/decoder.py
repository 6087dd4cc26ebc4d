"""Content and style back to an image: the style speaks through AdaIN."""

from jaxtyping import Float
from torch import Tensor, nn

from infaug.baselines.git.adain import AdaptiveBlock

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

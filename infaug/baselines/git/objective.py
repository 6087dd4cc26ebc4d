"""What the generator and its critics minimise.

All losses are means over the batch. Reconstructions are L1, critics least squares (Mao
et al., 2017), as in MUNIT.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from jaxtyping import Float
from torch import Tensor

from infaug.baselines.git.generator import Critics, StyleTransfer
from infaug.config import GitConfig

# From each critic, the scores of as many patches as it sees.
Scores = Sequence[Float[Tensor, "B _"]]


def critics_loss(real: Scores, fake: Scores) -> Float[Tensor, ""]:
    """Sum over critics of mean (real - 1)^2 + mean fake^2."""
    losses = [
        (r - 1).square().mean() + f.square().mean()
        for r, f in zip(real, fake, strict=True)
    ]
    return losses[0] + sum(losses[1:])


def realism_loss(fake: Scores) -> Float[Tensor, ""]:
    """Sum over critics of mean (fake - 1)^2: what the generator is judged by."""
    losses = [(f - 1).square().mean() for f in fake]
    return losses[0] + sum(losses[1:])


@dataclass(frozen=True)
class GeneratorLosses:
    """The four parts, unweighted."""

    image: Float[Tensor, ""]
    """An image from its own content and style."""
    style: Float[Tensor, ""]
    """The drawn style, from the image it made."""
    content: Float[Tensor, ""]
    """The content, from the image in another style."""
    realism: Float[Tensor, ""]

    def total(self, config: GitConfig) -> Float[Tensor, ""]:
        """The weighted sum."""
        weighted = (
            config.image_weight * self.image
            + config.style_weight * self.style
            + config.content_weight * self.content
        )
        return weighted + self.realism

    def values(self) -> dict[str, float]:
        """The parts by name."""
        return {
            part.name: float(getattr(self, part.name).detach()) for part in fields(self)
        }


def generator_losses(
    transfer: StyleTransfer,
    critics: Critics,
    x: Float[Tensor, "B C H W"],
    style: Float[Tensor, "B S"],
) -> GeneratorLosses:
    """Of images and of the styles drawn for them."""
    content = transfer.content(x)
    again = transfer.decoder(content, transfer.style(x))
    made = transfer.decoder(content, style)
    return GeneratorLosses(
        image=(again - x).abs().mean(),
        style=(transfer.style(made) - style).abs().mean(),
        # A constant: else the encoder would make the contents alike, not the images.
        content=(transfer.content(made) - content.detach()).abs().mean(),
        realism=realism_loss(critics(made)),
    )

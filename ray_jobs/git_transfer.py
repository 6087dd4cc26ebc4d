"""Generative invariance transfer (GIT): its generator's fit, and its views.

All losses are means over the batch. Reconstructions are L1, critics least squares (Mao
et al., 2017), as in MUNIT. The generator is fitted once to the images of a data set.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import torch
from git_networks import Critics, GitConfig, StyleTransfer, build_networks
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from torch.optim import Adam

from infaug.data.batches import batch_indices
from infaug.data.dataset import to_float
from infaug.descent import cosine, descend, set_rates
from infaug.randomness import RandomNumbers
from infaug.world import World

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


BETAS = (0.5, 0.999)


def fit_transfer(
    images: UInt8[Tensor, "N C H W"], config: GitConfig, seed: int
) -> Iterator[tuple[StyleTransfer, dict[str, float]]]:
    """Fit a generator, yielding it after each of `config.steps` updates.

    A function of its arguments: same images, settings and seed, same bytes. No labels
    are looked at; images of large classes are drawn more often, as there are more.

    Yields:
        The generator as it stands, and the losses "critics", "image", "style",
        "content", "realism".

    Raises:
        ValueError: if images cannot be halved, or a loss is not finite.
    """
    channels, height, width = images.shape[1:]
    transfer, critics = build_networks((channels, height, width), config, seed)
    optimizers = [
        Adam(network.parameters(), config.learning_rate, BETAS)
        for network in (transfer, critics)
    ]
    for step in range(config.steps):
        for optimizer in optimizers:
            set_rates(optimizer, config.learning_rate * cosine(step, config.steps))
        at = batch_indices(len(images), config.batch_size, step, seed, "git")
        x = to_float(images[at])
        rng = RandomNumbers.of_size(len(x), seed, "git", step)
        metrics = critics_step(transfer, critics, optimizers[1], x, rng, config)
        metrics |= generator_step(transfer, critics, optimizers[0], x, rng, config)
        yield transfer, metrics


def critics_step(
    transfer: StyleTransfer,
    critics: Critics,
    optimizer: Adam,
    x: Float[Tensor, "B C H W"],
    rng: RandomNumbers,
    config: GitConfig,
) -> dict[str, float]:
    """One update of the critics; the generator stays."""
    with torch.no_grad():
        made = transfer(x, rng.fork("critics").normal(config.style_size))
    loss = critics_loss(critics(x), critics(made))
    value, _ = descend([loss], optimizer, World(), name="git")
    return {"critics": value}


def generator_step(
    transfer: StyleTransfer,
    critics: Critics,
    optimizer: Adam,
    x: Float[Tensor, "B C H W"],
    rng: RandomNumbers,
    config: GitConfig,
) -> dict[str, float]:
    """One update of the generator; the critics stay."""
    style = rng.fork("generator").normal(config.style_size)
    critics.requires_grad_(False)
    losses = generator_losses(transfer, critics, x, style)
    descend([losses.total(config)], optimizer, World(), name="git")
    critics.requires_grad_(True)
    return losses.values()


class InvarianceTransfer:
    """x_aug = T(x, s), s ~ N(0, I), for a portion of the images of small classes.

    Zhou et al. (ICLR 2022, algorithm 1), who transform a fixed part of the batch; here
    each image has its own chance, so that views do not depend on the order of a batch.
    """

    def __init__(
        self, transfer: StyleTransfer, sizes: Int64[Tensor, "Y"], config: GitConfig
    ):
        self.transfer, self.config = transfer.eval(), config
        self.is_small = small_classes(sizes, config.threshold)

    @torch.no_grad()
    def __call__(
        self, x: Float[Tensor, "B C H W"], y: Int64[Tensor, "B"], rng: RandomNumbers
    ) -> Float[Tensor, "B C H W"]:
        """One view of each image; `y` are classes."""
        chosen = rng.uniform(0, 1) < self.config.portion
        at = (chosen & self.is_small.to(y.device)[y]).nonzero().squeeze(1)
        if len(at) == 0:
            return x
        style = rng.fork("style").normal(self.config.style_size).to(x)
        return x.index_copy(0, at, self.transfer(x[at], style[at]))


def small_classes(sizes: Int64[Tensor, "Y"], threshold: int) -> Bool[Tensor, "Y"]:
    """Whether a class has no more images than the threshold: the others know enough.

    >>> small_classes(torch.tensor([501, 500, 5]), 500).tolist()
    [False, True, True]
    """
    return sizes <= threshold

"""Fitting the generator to the images of one data set, once."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.optim import Adam

from infaug.baselines.git.generator import Critics, StyleTransfer, build_networks
from infaug.baselines.git.objective import critics_loss, generator_losses
from infaug.config import GitConfig
from infaug.data.batches import batch_indices
from infaug.data.dataset import to_float
from infaug.descent import cosine, descend, set_rates
from infaug.randomness import Draws
from infaug.world import World

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
        draws = Draws.of_size(len(x), seed, "git", step)
        metrics = critics_step(transfer, critics, optimizers[1], x, draws, config)
        metrics |= generator_step(transfer, critics, optimizers[0], x, draws, config)
        yield transfer, metrics


def critics_step(
    transfer: StyleTransfer,
    critics: Critics,
    optimizer: Adam,
    x: Float[Tensor, "B C H W"],
    draws: Draws,
    config: GitConfig,
) -> dict[str, float]:
    """One update of the critics; the generator stays."""
    with torch.no_grad():
        made = transfer(x, draws.fork("critics").normal(config.style_size))
    loss = critics_loss(critics(x), critics(made))
    value, _ = descend([loss], optimizer, World(), name="git")
    return {"critics": value}


def generator_step(
    transfer: StyleTransfer,
    critics: Critics,
    optimizer: Adam,
    x: Float[Tensor, "B C H W"],
    draws: Draws,
    config: GitConfig,
) -> dict[str, float]:
    """One update of the generator; the critics stay."""
    style = draws.fork("generator").normal(config.style_size)
    critics.requires_grad_(False)
    losses = generator_losses(transfer, critics, x, style)
    descend([losses.total(config)], optimizer, World(), name="git")
    critics.requires_grad_(True)
    return losses.values()

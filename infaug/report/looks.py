"""How images look, in three numbers that an eye can check: light, contrast, colour."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.config import EstimatorConfig
from infaug.data.dataset import Labelled, to_float
from infaug.estimate.learned_transform import LearnedTransform, draw_chance
from infaug.randomness import Draws
from infaug.report.learned import CHUNK


@dataclass(frozen=True, kw_only=True)
class Look:
    """A number of an image's look, in percent."""

    key: str
    title: str
    unit: str
    more: str
    """What images are that have more of it."""
    less: str


LOOKS = (
    Look(
        key="lightness",
        title="Lightness",
        unit="0 is black, 100 white",
        more="lighter",
        less="darker",
    ),
    Look(
        key="contrast",
        title="Contrast",
        unit="standard deviation of lightness in an image",
        more="richer in contrast",
        less="poorer in contrast",
    ),
    Look(
        key="colour",
        title="Colour",
        unit="largest less smallest of red, green, blue",
        more="more colourful",
        less="less colourful",
    ),
)

Looks = Mapping[str, Float[Tensor, "N"]]


def looks_of(x: Float[Tensor, "B C H W"]) -> dict[str, Float[Tensor, "B"]]:
    """Lightness, contrast and, of images with channels, colour; percent.

    Lightness of a pixel is the mean over its channels.
    """
    light = 100 * x.double().mean(dim=1).flatten(1)
    found = {"lightness": light.mean(dim=1), "contrast": light.std(1, correction=0)}
    if x.shape[1] > 1:
        spread = x.amax(dim=1) - x.amin(dim=1)
        found["colour"] = 100 * spread.double().flatten(1).mean(dim=1)
    return found


def looks_as_they_are(images: Labelled) -> Looks:
    """Of images that nothing is done to."""
    return _joined(looks_of(x) for x, _ in _chunks(images))


@torch.no_grad()
def looks_of_views(
    transform: LearnedTransform, images: Labelled, config: EstimatorConfig
) -> Looks:
    """Of one view of each image, drawn as for training F, no base before it."""
    draws = Draws.of_size(len(images), 0, "report looks")
    chance = draw_chance(config, transform.config.tau_size, 1.0, draws)
    return _joined(
        looks_of(
            transform(
                x,
                chance.noise[rows],
                None if chance.keep is None else chance.keep[rows],
            )
        )
        for x, rows in _chunks(images)
    )


def _chunks(images: Labelled) -> Iterator[tuple[Tensor, Tensor]]:
    for rows in torch.arange(len(images)).split(CHUNK):
        yield to_float(images.images[rows]), rows


def _joined(parts: Iterator[dict[str, Tensor]]) -> dict[str, Tensor]:
    every = list(parts)
    return {key: torch.cat([part[key] for part in every]) for key in every[0]}

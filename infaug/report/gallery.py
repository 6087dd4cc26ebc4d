"""Images before and after, as PNG inside the page."""

import base64
import io
from dataclasses import dataclass

import torch
from jaxtyping import Float
from markupsafe import Markup
from matplotlib import colormaps
from PIL import Image
from torch import Tensor

from infaug.config import EstimatorConfig
from infaug.data.dataset import Labelled, to_float
from infaug.data.on_disk import OnDisk
from infaug.estimate.learned_transform import LearnedTransform, draw_chance
from infaug.randomness import Draws
from infaug.report.figures import draw_flow
from infaug.report.interpolation import appearance, steps_between, taus_between
from infaug.report.learned import in_numbers, in_words
from infaug.report.views import some_of_each_class
from infaug.transform.fields import Fields, apply_fields
from infaug.transform.spatial import flow_of, warp

LARGEST_PX = 80  # a page holds hundreds of them


def picture(image: Float[Tensor, "C H W"]) -> str:
    """An image with values in [0, 1] as the URI of a PNG; large ones are made smaller.

    >>> picture(torch.zeros(1, 2, 2))[:22]
    'data:image/png;base64,'
    """
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
    return _encoded(Image.fromarray(pixels.squeeze(-1).cpu().numpy()))


def change_picture(change: Float[Tensor, "C H W"], reach: float) -> str:
    """What the appearance model adds: blue darkens, white is nothing, red lightens."""
    share = change.mean(dim=0) / (2 * reach) + 0.5
    colours = colormaps["RdBu_r"](share.clamp(0, 1).cpu().numpy(), bytes=True)
    return _encoded(Image.fromarray(colours[:, :, :3]))


def _encoded(image: Image.Image) -> str:
    if max(image.size) > LARGEST_PX:
        image.thumbnail((LARGEST_PX, LARGEST_PX))
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


NUM_VIEWS = 3


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """A picture and the words in its place."""

    uri: str
    alt: str


@dataclass(frozen=True, kw_only=True)
class Shown:
    """An image, its views, and what the first of them does."""

    class_name: str
    image: Pixels
    views: tuple[Pixels, ...]
    flow: Markup
    change: Pixels
    words: str


@torch.no_grad()
def before_and_after(
    transform: LearnedTransform,
    images: Labelled | OnDisk,
    config: EstimatorConfig,
    num: int = 8,
) -> list[Shown]:
    """Images of several classes, each with its views, drawn as for training F."""
    picked = images.select(some_of_each_class(images, num))
    x = to_float(picked.images)
    draws = Draws.of_size(len(x), 0, "report views")
    views = [_view(transform, x, config, draws.fork(k)) for k in range(NUM_VIEWS)]
    names = [picked.class_names[label] for label in picked.labels.tolist()]
    return [_shown(k, name, x, views) for k, name in enumerate(names)]


@dataclass(frozen=True, eq=False)
class _View:
    fields: Fields
    warped: Float[Tensor, "B C H W"]
    final: Float[Tensor, "B C H W"]


def _view(
    transform: LearnedTransform, x: Tensor, config: EstimatorConfig, draws: Draws
) -> _View:
    chance = draw_chance(config, transform.config.tau_size, 1.0, draws)
    fields = transform.bounded(transform.unbounded(x, chance.noise, chance.keep))
    padding = transform.config.padding
    warped = warp(x, flow_of(fields.matrix, fields.offset), padding=padding)
    return _View(fields, warped, apply_fields(x, fields, padding=padding))


def _shown(k: int, name: str, x: Tensor, views: list[_View]) -> Shown:
    words = [
        in_words({key: float(v[k]) for key, v in in_numbers(view.fields)[0].items()})
        for view in views
    ]
    first = views[0]
    change = appearance(first.warped, first.fields)
    reach = max(float(change.abs().max()), 1e-6)
    flow = flow_of(first.fields.matrix, first.fields.offset)[k]
    return Shown(
        class_name=name,
        image=Pixels(uri=picture(x[k]), alt=f"training image of class {name}"),
        views=tuple(
            Pixels(uri=picture(view.final[k]), alt=f"view {n + 1}: {said}")
            for n, (view, said) in enumerate(zip(views, words, strict=True))
        ),
        flow=draw_flow(flow, f"flow of view 1: {words[0]}"),
        change=Pixels(
            uri=change_picture(change[k], reach),
            alt=f"change of tone in view 1: {_tone(change[k])}",
        ),
        words=words[0],
    )


def _tone(change: Float[Tensor, "C H W"]) -> str:
    return (
        f"{float(change.mean()):+.2f} on average, from {float(change.min()):+.2f} to "
        f"{float(change.max()):+.2f}"
    )


def examples(images: Labelled | OnDisk, num: int, what: str) -> list[Pixels]:
    """A few images as they are, of several classes."""
    picked = images.select(some_of_each_class(images, num))
    names = [picked.class_names[label] for label in picked.labels.tolist()]
    return [
        Pixels(uri=picture(x), alt=f"{what} of class {name}")
        for x, name in zip(to_float(picked.images), names, strict=True)
    ]


@dataclass(frozen=True, kw_only=True)
class Strip:
    """One line of pictures, with its name."""

    name: str
    pictures: tuple[Pixels, ...]
    flows: tuple[Markup, ...] = ()
    """In place of pictures."""


@torch.no_grad()
def interpolation(
    transform: LearnedTransform, images: Labelled | OnDisk, config: EstimatorConfig
) -> list[Strip]:
    """The first training image, at ten taus from one draw of E(x) + noise to another.

    Lines are the flow, the warped image, the change of tone and the final image.
    """
    image = to_float(images.select(torch.arange(1)).images)[0]
    taus = taus_between(transform, image, config)
    steps = steps_between(transform, image, taus)
    num = len(taus)
    numbers, _ = in_numbers(steps.fields)
    words = [in_words({k: float(v[n]) for k, v in numbers.items()}) for n in range(num)]
    reach = max(float(steps.change.abs().max()), 1e-6)

    def strip(name: str, uris: list[str], told: list[str]) -> Strip:
        pixels = [
            Pixels(uri=uri, alt=f"{name} {n + 1} of {num}: {said}")
            for n, (uri, said) in enumerate(zip(uris, told, strict=True))
        ]
        return Strip(name=name, pictures=tuple(pixels))

    arrows = [
        draw_flow(flow, f"flow {n + 1} of {num}: {said}", 5)
        for n, (flow, said) in enumerate(zip(steps.flow, words, strict=True))
    ]
    changes = [change_picture(change, reach) for change in steps.change]
    return [
        Strip(name="flow", pictures=(), flows=tuple(arrows)),
        strip("warped", [picture(x) for x in steps.warped], words),
        strip("change of tone", changes, [_tone(change) for change in steps.change]),
        strip("final", [picture(x) for x in steps.final], words),
    ]

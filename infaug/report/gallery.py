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
from infaug.data.stored import Stored
from infaug.estimate.chance import draw_chance
from infaug.estimate.learned_transform import LearnedTransform
from infaug.randomness import Draws
from infaug.report.interpolation import appearance, steps_between, taus_between
from infaug.report.learned import in_numbers, in_words
from infaug.report.views import some_of_each_class
from infaug.transform.apply import apply_fields
from infaug.transform.fields import Fields
from infaug.transform.spatial import flow_of, pixel_grid, warp

LARGEST_PX = 80  # a page holds hundreds of them
SIDE, MARGIN = 60, 7  # of a drawn flow, in its own units
HEAD = 2.6


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


def flow_arrows(flow: Float[Tensor, "H W 2"], label: str, *, num: int = 7) -> Markup:
    """A flow as arrows, from places in the view to where their values come from.

    There are `num` along each side. The frame is the image; what an arrow leaves it for
    is padding.
    """
    grid = pixel_grid(*flow.shape[:2], like=flow)
    ys, xs = (
        torch.linspace(0, size - 1, num + 2)[1:-1].round().long()
        for size in flow.shape[:2]
    )
    tails, tips = ((g[ys][:, xs].reshape(-1, 2) + 1) * SIDE / 2 for g in (grid, flow))
    shafts, heads = [], []
    for tail, tip in zip(tails.tolist(), tips.tolist(), strict=True):
        shafts.append(f"M{tail[0]:.1f} {tail[1]:.1f}L{tip[0]:.1f} {tip[1]:.1f}")
        heads.append(_head(tail, tip))
    return Markup(
        '<svg class="flow" viewBox="-{4} -{4} {0} {0}" role="img" aria-label="{1}">'
        '<rect class="flow-frame" width="{2}" height="{2}"/>'
        '<path class="shaft" d="{3}"/><path class="head" d="{5}"/></svg>'
    ).format(SIDE + 2 * MARGIN, label, SIDE, "".join(shafts), MARGIN, "".join(heads))


def _head(tail: list[float], tip: list[float]) -> str:
    """A triangle at the tip; a square dot where the arrow is too short for one."""
    dx, dy = tip[0] - tail[0], tip[1] - tail[1]
    length = (dx * dx + dy * dy) ** 0.5
    if length < HEAD:
        return f"M{tip[0] - 0.6:.1f} {tip[1] - 0.6:.1f}h1.2v1.2h-1.2z"
    ux, uy = dx / length * HEAD, dy / length * HEAD
    back_x, back_y = tip[0] - 1.4 * ux, tip[1] - 1.4 * uy
    return (
        f"M{tip[0]:.1f} {tip[1]:.1f}L{back_x - 0.8 * uy:.1f} {back_y + 0.8 * ux:.1f}"
        f"L{back_x + 0.8 * uy:.1f} {back_y - 0.8 * ux:.1f}z"
    )


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
    images: Labelled | Stored,
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
        flow=flow_arrows(flow, f"flow of view 1: {words[0]}"),
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


def examples(images: Labelled | Stored, num: int, what: str) -> list[Pixels]:
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
    transform: LearnedTransform, images: Labelled | Stored, config: EstimatorConfig
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
        flow_arrows(flow, f"flow {n + 1} of {num}: {said}", num=5)
        for n, (flow, said) in enumerate(zip(steps.flow, words, strict=True))
    ]
    changes = [change_picture(change, reach) for change in steps.change]
    return [
        Strip(name="flow", pictures=(), flows=tuple(arrows)),
        strip("warped", [picture(x) for x in steps.warped], words),
        strip("change of tone", changes, [_tone(change) for change in steps.change]),
        strip("final", [picture(x) for x in steps.final], words),
    ]

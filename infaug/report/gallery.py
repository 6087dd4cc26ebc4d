"""Images inside the page, as PNG: before and after, examples, the extremes."""

import base64
import io
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from jaxtyping import Float
from matplotlib import colormaps
from PIL import Image
from torch import Tensor

from infaug.config import EstimatorConfig
from infaug.data.dataset import to_float
from infaug.data.on_disk import ImageSet
from infaug.estimate.learned_transform import LearnedTransform
from infaug.randomness import RandomNumbers
from infaug.report.experiment_data import Line
from infaug.report.figures import draw_flow
from infaug.report.learned import drawn_fields, in_numbers, in_words
from infaug.report.views import appearance, some_of_each_class
from infaug.report.words import power
from infaug.transform.fields import apply_fields
from infaug.transform.spatial import flow_of, warp
from infaug.trust import rank as ranking
from infaug.trust.reload import Finished

MAX_PX = 80  # a page holds hundreds of images


class Pixels(NamedTuple):
    """A picture and the words in its place."""

    uri: str
    alt: str


def picture(image: Float[Tensor, "C H W"], alt: str) -> Pixels:
    """An image with values in [0, 1] as the URI of a PNG; large ones are made smaller.

    >>> picture(torch.zeros(1, 2, 2), "a dark image").uri[:22]
    'data:image/png;base64,'
    """
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
    return _encoded(Image.fromarray(pixels.squeeze(-1).cpu().numpy()), alt)


def change_picture(change: Float[Tensor, "C H W"], reach: float, alt: str) -> Pixels:
    """What the appearance model adds: blue darkens, white is nothing, red lightens."""
    share = change.mean(dim=0) / (2 * reach) + 0.5
    colours = colormaps["RdBu_r"](share.clamp(0, 1).cpu().numpy(), bytes=True)
    return _encoded(Image.fromarray(colours[:, :, :3]), alt)


def _encoded(image: Image.Image, alt: str) -> Pixels:
    if max(image.size) > MAX_PX:
        image.thumbnail((MAX_PX, MAX_PX))
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    content = base64.b64encode(file.getvalue()).decode()
    return Pixels(f"data:image/png;base64,{content}", alt)


def examples(images: ImageSet, num: int, what: str) -> list[Pixels]:
    """A few images as they are, of several classes."""
    picked = some_of_each_class(images, num)
    names = [picked.class_names[label] for label in picked.labels.tolist()]
    return [
        picture(x, f"{what} of class {name}")
        for x, name in zip(to_float(picked.images), names, strict=True)
    ]


NUM_VIEWS = 3


@torch.no_grad()
def before_and_after(
    transform: LearnedTransform, images: ImageSet, config: EstimatorConfig, num: int
) -> list[dict[str, Any]]:
    """Images of several classes, each with its views, drawn as for training F.

    Of the first view also its flow, its change of tone, and what it does in words.
    """
    picked = some_of_each_class(images, num)
    x = to_float(picked.images)
    rng, padding = (
        RandomNumbers.of_size(len(x), 0, "report views"),
        transform.config.padding,
    )
    views = [
        next(drawn_fields(transform, x, config, rng.fork(k)))[1]
        for k in range(NUM_VIEWS)
    ]
    flow = flow_of(views[0].matrix, views[0].offset)
    change = appearance(warp(x, flow, padding=padding), views[0])
    reach = max(float(change.abs().max()), 1e-6)
    numbers = [in_numbers(view)[0] for view in views]
    finals = [apply_fields(x, view, padding=padding) for view in views]
    shown = []
    for k, label in enumerate(picked.labels.tolist()):
        name, tone = picked.class_names[label], change[k]
        words = [in_words({q: float(v[k]) for q, v in of.items()}) for of in numbers]
        alt = (
            f"change of tone in view 1: {float(tone.mean()):+.2f} on average, from "
            f"{float(tone.min()):+.2f} to {float(tone.max()):+.2f}"
        )
        each = {
            "class_name": name,
            "image": picture(x[k], f"training image of class {name}"),
            "views": [
                picture(final[k], f"view {n}: {text}")
                for n, (final, text) in enumerate(zip(finals, words, strict=True), 1)
            ],
            "flow": draw_flow(flow[k], f"flow of view 1: {words[0]}"),
            "change": change_picture(tone, reach, alt),
            "words": words[0],
        }
        shown.append(each)
    return shown


NUM_EXTREMES = 6
MAX_PIXELS = 2000 * 32 * 32  # of all images that are ranked
MIN_RANKED = 100


def rank_views(finished: Finished, run: Path) -> dict[str, Any]:
    """Both ends of the ranking of views, and the share that is predicted to help.

    Of the ranking that `infaug influence rank` left in the folder, or one made now: of
    a sample where there are many images, or large ones.

    Raises:
        ValueError: if s_val cannot be solved for.
    """
    path = run / f"influence-{finished.name}.parquet"
    num_train = len(finished.training.train)
    max_images = None
    if path.exists():
        table = pq.read_table(path)
    else:
        _, height, width = finished.training.train.image_shape
        max_images = max(MAX_PIXELS // (height * width), MIN_RANKED)
        max_images = None if num_train <= max_images else max_images
        table = ranking.rank(finished, max_images=max_images)
    helpful, harmful = (
        [_extreme(finished, line, max_images) for line in end.to_pylist()]
        for end in ranking.extremes(table, "augmentation", NUM_EXTREMES)
    )
    scores = table.filter(pc.field("kind") == "augmentation")["influence"].to_pylist()
    return {
        "ends": (("Most helpful", helpful), ("Most harmful", harmful)),
        "num_ranked": len(scores),
        "num_train": num_train,
        "helps": sum(score < 0 for score in scores) / len(scores),
    }


def _extreme(finished: Finished, line: Line, max_images: int | None) -> Line:
    """An image, its view, and the predicted change if one replaces the other, nats."""
    x, x_aug = ranking.ranked_view(finished, line["image"], line["draw"], max_images)
    name = line["class_name"]
    return {
        "class_name": name,
        "before": picture(x.float(), f"training image of class {name}"),
        "after": picture(x_aug.float(), "its view"),
        "change": power(line["predicted_change"]),
    }

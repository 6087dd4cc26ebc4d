"""What E learned: the affine map and the change of tone that each view amounts to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from infaug.config import EstimatorConfig, ShiftConfig
from infaug.data.dataset import Labelled, to_float
from infaug.data.on_disk import ImageSet
from infaug.estimate.learned_transform import LearnedTransform, draw_view
from infaug.randomness import RandomNumbers, generator
from infaug.report.words import signed
from infaug.transform.affine_flows import decompose, fit_affine
from infaug.transform.fields import Fields
from infaug.transform.spatial import affine_flow, flow_of

CHUNK = 100
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MAX_CLASSES = 20
MAX_IMAGES = 400


@dataclass(frozen=True)
class Quantity:
    """One number of a view, as the eye sees it."""

    key: str
    title: str
    unit: str
    neutral: float
    """Where nothing is changed."""
    min_span: float
    """Of an axis: less of it is not seen by the eye."""


QUANTITIES = (
    Quantity("rotation", "Rotation", "degrees, counter-clockwise", 0, 4),
    Quantity("scale", "Scale", "factor, above 1 enlarges", 1, 0.04),
    Quantity("right", "Translation sideways", "percent of the width, to the right",
             0, 4),
    Quantity("down", "Translation upright", "percent of the height, downwards", 0, 4),
    Quantity("contrast", "Contrast", "factor on differences of grey", 1, 0.04),
    Quantity("brightness", "Brightness",
             "change of mid-grey; 1 is from black to white", 0, 0.04),
)  # fmt: skip


@torch.no_grad()
def drawn_fields(
    transform: LearnedTransform,
    x: Float[Tensor, "N C H W"],
    config: EstimatorConfig,
    rng: RandomNumbers,
) -> Iterator[tuple[Float[Tensor, "B C H W"], Fields]]:
    """Images with the fields of one view each, as for training F; a chunk at a time."""
    drawn = draw_view(config, transform.config.tau_size, 1.0, rng)
    for at in torch.arange(len(x)).split(CHUNK):
        mask = None if drawn.mask is None else drawn.mask[at]
        unbounded = transform.unbounded(x[at], drawn.noise[at], mask)
        yield x[at], transform.bounded(unbounded)


@dataclass(frozen=True, eq=False)
class LearnedViews:
    """Each quantity of one view of each image, and the classes of the images."""

    values: Mapping[str, Float[Tensor, "N"]]
    labels: Int64[Tensor, "N"]
    class_names: tuple[str, ...]
    leftover: Float[Tensor, "N"]
    """How far the flow is from the closest affine map: root mean square, in pixels."""


@torch.no_grad()
def measure(
    transform: LearnedTransform, images: Labelled, config: EstimatorConfig
) -> LearnedViews:
    """One view of each image, drawn as for training F, in numbers."""
    x = to_float(images.images)
    rng = RandomNumbers.of_size(len(x), 0, "report")
    drawn = [in_numbers(f) for _, f in drawn_fields(transform, x, config, rng)]
    return LearnedViews(
        {q.key: torch.cat([each[q.key] for each, _ in drawn]) for q in QUANTITIES},
        images.labels,
        images.class_names,
        torch.cat([leftover for _, leftover in drawn]),
    )


def in_numbers(fields: Fields) -> tuple[dict[str, Tensor], Tensor]:
    """The quantities of each image's fields, and what no affine map explains.

    The flow is fitted by the closest affine map (least squares over the pixels). A grey
    pixel v becomes a v + b, where a - 1 is the mean over the pixels of the response of
    c_w to grey and b that of c_b; contrast is a, and brightness a/2 + b - 1/2, what
    becomes of mid-grey: the two numbers of `--data.shift`. Clamping is left out.
    """
    flow = flow_of(fields.matrix, fields.offset).double()
    affine = fit_affine(flow)
    height, width = flow.shape[1:3]
    seen = decompose(affine, height, width)
    apart = (flow - affine_flow(affine, height, width)) * flow.new_tensor(
        [width / 2, height / 2]
    )
    channels = fields.bias.shape[1]
    slope = 1 + fields.filter.double().sum(dim=1).mean(dim=(1, 2)) / channels
    offset = fields.bias.double().mean(dim=(1, 2, 3))
    numbers = {
        "rotation": seen.rotation_deg,
        "scale": seen.scale.abs().prod(dim=1).sqrt(),
        "right": 100 * seen.translation[:, 0],
        "down": 100 * seen.translation[:, 1],
        "contrast": slope,
        "brightness": slope / 2 + offset - 0.5,
    }
    return numbers, apart.square().sum(dim=3).mean(dim=(1, 2)).sqrt()


@dataclass(frozen=True, kw_only=True)
class Group:
    """Some views, and the quantiles of each quantity over them."""

    name: str
    quantiles: Mapping[str, Sequence[float]]


def groups_of(found: LearnedViews) -> list[Group]:
    """All views, and those of each class that has some."""
    masks = [("all", torch.ones_like(found.labels, dtype=torch.bool))]
    masks += [
        (found.class_names[label], found.labels == label)
        for label in found.labels.unique().tolist()
    ]
    at = torch.tensor(QUANTILES, dtype=torch.float64)
    return [
        Group(
            name=name,
            quantiles={
                key: values[mask].double().quantile(at).tolist()
                for key, values in found.values.items()
            },
        )
        for name, mask in masks
    ]


def sample_of_classes(images: ImageSet) -> Labelled:
    """Up to `MAX_IMAGES` images, as many of each of the largest classes."""
    counts = images.labels.bincount(minlength=images.num_classes)
    largest = counts.argsort(descending=True, stable=True)[:MAX_CLASSES]
    largest = [k for k in largest.tolist() if counts[k]]
    each = max(MAX_IMAGES // len(largest), 1)
    order = torch.randperm(len(images.labels), generator=generator(0, "report sample"))
    labels = images.labels.cpu()[order]
    picked = torch.cat([order[labels == k][:each] for k in largest])
    return images.select(picked.sort().values)


def known_shift(shift: ShiftConfig, width: int, height: int) -> dict[str, float]:
    """How target images differ, where an experiment made them, in the same numbers."""
    if not shift.divides_use_from_training:
        return {}
    made = {
        "rotation": shift.rotate_deg,
        "right": 100 * shift.translate_px / width,
        "down": 100 * shift.translate_px / height,
        "contrast": shift.contrast,
        "brightness": shift.brightness,
    }
    neutral = {q.key: q.neutral for q in QUANTITIES}
    return {key: value for key, value in made.items() if value != neutral[key]}


def in_words(numbers: Mapping[str, float]) -> str:
    """What a view does to its image.

    >>> numbers = {"rotation": 31.6, "scale": 0.94, "right": 3.2, "down": -0.4}
    >>> in_words({**numbers, "contrast": 0.9, "brightness": 0.05})[:41]
    'turned +32°, scaled 0.94, moved +3 % and '
    """
    turned, right, down = (
        signed(round(numbers[key]) + 0.0, 0) for key in ("rotation", "right", "down")
    )
    tone = f"{numbers['contrast']:.2f}, brightness {signed(numbers['brightness'])}"
    return (
        f"turned {turned}°, scaled {numbers['scale']:.2f}, moved {right} % and "
        f"{down} %, contrast {tone}"
    )

"""Lightness, contrast and colour of training images, learned views and target images.

Numbers that an eye can check. They do not tell a useful view from another; but views
that leave the target images in one of them should be looked at.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from infaug.config import EstimatorConfig
from infaug.data.dataset import Labelled, to_float
from infaug.data.problem import Splits
from infaug.estimate.learned_transform import LearnedTransform
from infaug.randomness import RandomNumbers
from infaug.record.atomic import write_json
from infaug.record.folder import LOOKS_FILE
from infaug.report.experiment_data import ExperimentData
from infaug.report.learned import CHUNK, drawn_fields, sample_of_classes
from infaug.report.words import listed
from infaug.transform.fields import apply_fields

MIN_CHANGE = 2.0  # percent from black to white: a smaller one is hardly seen
STANDARD_ERRORS = 2.0
Values = Mapping[str, Float[Tensor, "N"]]


# Title and unit of each number of an image.
STATISTICS = {
    "lightness": ("Lightness", "0 is black, 100 white"),
    "contrast": ("Contrast", "standard deviation of lightness in an image"),
    "colour": ("Colour", "largest less smallest of red, green, blue"),
}


def statistics_of(parts: Iterable[Float[Tensor, "B C H W"]]) -> Values:
    """Lightness, contrast and, of images with channels, colour; percent.

    Lightness of a pixel is the mean over its channels.
    """
    found: dict[str, list[Tensor]] = {}
    for x in parts:
        light = 100 * x.double().mean(dim=1).flatten(1)
        found.setdefault("lightness", []).append(light.mean(dim=1))
        found.setdefault("contrast", []).append(light.std(1, correction=0))
        if x.shape[1] > 1:
            spread = (x.amax(dim=1) - x.amin(dim=1)).double().flatten(1)
            found.setdefault("colour", []).append(100 * spread.mean(dim=1))
    return {key: torch.cat(values) for key, values in found.items()}


def statistics_of_images(images: Labelled) -> Values:
    """Of images that nothing is done to."""
    return statistics_of(to_float(images.images).split(CHUNK))


@torch.no_grad()
def statistics_of_views(
    transform: LearnedTransform, images: Labelled, config: EstimatorConfig
) -> Values:
    """Of one view of each image, drawn as for training F, no base before it."""
    rng = RandomNumbers.of_size(len(images), 0, "report looks")
    drawn = drawn_fields(transform, to_float(images.images), config, rng)
    padding = transform.config.padding
    return statistics_of(apply_fields(x, f, padding=padding) for x, f in drawn)


def knows_target(experiment: ExperimentData) -> bool:
    """Whether influence images come from elsewhere than those that train.

    From a target or a `val` split, or shifted by the experiment itself.
    """
    data = experiment.config.data
    shifted = set() if data.shift.is_identity else set(data.shift.splits)
    is_made = "influence" in shifted and "train" not in shifted
    from_elsewhere = "target images" in experiment.images
    return is_made or data.target_source is not None or from_elsewhere


class Mean(NamedTuple):
    """A mean and its standard error, infinite where no class has two images."""

    value: float
    error: float


def mean_over_classes(
    values: Float[Tensor, "N"], labels: Int64[Tensor, "N"], classes: Int64[Tensor, "Y"]
) -> Mean:
    """Classes weigh the same, so that sets with other shares of them compare.

    The error is sqrt(sum over classes of s^2 / n) / Y with s^2 pooled over classes.
    """
    groups = [values[labels == label].double() for label in classes.tolist()]
    value = sum(float(group.mean()) for group in groups) / len(groups)
    freedom = sum(len(group) - 1 for group in groups)
    if not freedom:
        return Mean(value, math.inf)
    squares = sum(float((group - group.mean()).square().sum()) for group in groups)
    shares = sum(1 / len(group) for group in groups)
    return Mean(value, math.sqrt(squares / freedom * shares) / len(groups))


class Moved(NamedTuple):
    """One statistic of three sets of images."""

    key: str
    train: float
    views: float
    target: float
    verdict: str
    """nearer, further, or nothing where neither is seen or noise may explain it."""


@dataclass(frozen=True, kw_only=True)
class TowardTarget:
    """How the learned views of a seed moved, seen from the target images."""

    seed: int
    methods: Mapping[str, Sequence[Moved]]
    """By learned method; that of the verdict first."""
    num: int
    """Training images."""
    num_target: int
    has_target: bool
    """Whether influence images come from elsewhere than training images."""

    @property
    def target_name(self) -> str:
        """What the third set is called."""
        return "target images" if self.has_target else "influence images"

    @property
    def warnings(self) -> dict[str, str]:
        """By method, what should be looked at before its views are trusted."""
        every = {name: warning_of(name, moved) for name, moved in self.methods.items()}
        return {name: text for name, text in every.items() if text and self.has_target}


def toward_target(
    experiment: ExperimentData,
    seed: int,
    splits: Splits,
    transforms: Mapping[str, LearnedTransform],
) -> TowardTarget:
    """Compare a seed's training images, their views by each method, and its target.

    Raises:
        ValueError: if no class is in both sets.
    """
    images, aims = (sample_of_classes(p) for p in (splits.train, splits.influence))
    train, target = statistics_of_images(images), statistics_of_images(aims)
    config, methods = experiment.config.estimator, {}
    for name, transform in transforms.items():
        views = statistics_of_views(transform, images, config)
        methods[name] = compare(train, views, target, images.labels, aims.labels)
    return TowardTarget(
        seed=seed,
        methods=methods,
        num=len(images),
        num_target=len(aims),
        has_target=knows_target(experiment),
    )


def write_statistics(run: Path, found: TowardTarget) -> None:
    """Keep it with the experiment, for its export's card."""
    methods = {}
    for name, moved in found.methods.items():
        percent = {
            each.key: {
                "training images": round(each.train, 2),
                "views": round(each.views, 2),
                found.target_name: round(each.target, 2),
            }
            for each in moved
        }
        methods[name] = {"warning": found.warnings.get(name), "percent": percent}
    write_json(run / LOOKS_FILE, {"seed": found.seed, "methods": methods})


def compare(
    train: Values,
    views: Values,
    target: Mapping[str, Float[Tensor, "M"]],
    labels: Int64[Tensor, "N"],
    target_labels: Int64[Tensor, "M"],
) -> list[Moved]:
    """How views of training images moved, seen from the target images.

    Nearer or further are views whose distance to the target differs from that of the
    training images by more than `MIN_CHANGE` and by more than `STANDARD_ERRORS` of the
    way they went (paired); and that would be so wherever the target lies within that
    many errors of its own.

    Raises:
        ValueError: if no class is in both sets.
    """
    known = labels.unique()
    classes = known[torch.isin(known, target_labels)]
    if not len(classes):
        raise ValueError("training and influence images have no class in common")
    moved = []
    for key in train:
        began = mean_over_classes(train[key], labels, classes)
        ended = mean_over_classes(views[key], labels, classes)
        aim = mean_over_classes(target[key], target_labels, classes)
        way = mean_over_classes(views[key] - train[key], labels, classes)
        verdict = _verdict(began, ended, aim, way)
        moved.append(Moved(key, began.value, ended.value, aim.value, verdict))
    return moved


def _verdict(train: Mean, views: Mean, target: Mean, way: Mean) -> str:
    slack = STANDARD_ERRORS * math.hypot(train.error, target.error)
    low, change, high = sorted(
        abs(views.value - aim) - abs(train.value - aim)
        for aim in (target.value - slack, target.value, target.value + slack)
    )
    is_sure = low > 0 or high < 0
    if not is_sure or abs(change) <= max(MIN_CHANGE, STANDARD_ERRORS * way.error):
        return ""
    return "further" if change > 0 else "nearer"


def warning_of(method: str, moved: Sequence[Moved]) -> str:
    """A sentence about views that left the target images; nothing if none did."""
    parts = [
        f"{each.key} ({each.views:.0f} %, training images {each.train:.0f} %, target "
        f"images {each.target:.0f} %)"
        for each in moved
        if each.verdict == "further"
    ]
    if not parts:
        return ""
    return f"{method}: views move away from the target images in {listed(parts)}."

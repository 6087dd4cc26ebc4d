"""Lightness, contrast and colour of training images, learned views and target images.

Numbers that an eye can check. They do not tell a useful view from another; but views
that leave the target images in one of them should be looked at.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from infaug.config import EstimatorConfig
from infaug.data.dataset import Labelled, to_float
from infaug.data.problem import Splits
from infaug.estimate.learned_transform import LearnedTransform
from infaug.randomness import Draws
from infaug.record.atomic import write_json
from infaug.record.folder import LOOKS_FILE
from infaug.report.experiment_data import ExperimentData
from infaug.report.learned import CHUNK, drawn_fields, sample_of_classes
from infaug.transform.fields import apply_fields

MIN_CHANGE = 2.0  # percent from black to white: a smaller one is hardly seen
STANDARD_ERRORS = 2.0
Values = Mapping[str, Float[Tensor, "N"]]


@dataclass(frozen=True)
class Statistic:
    """A number of an image, in percent."""

    key: str
    title: str
    unit: str
    more: str
    """What images are that have more of it."""
    less: str


STATISTICS = (
    Statistic("lightness", "Lightness", "0 is black, 100 white", "lighter", "darker"),
    Statistic(
        "contrast", "Contrast", "standard deviation of lightness in an image",
        "richer in contrast", "poorer in contrast",
    ),
    Statistic(
        "colour", "Colour", "largest less smallest of red, green, blue",
        "more colourful", "less colourful",
    ),
)  # fmt: skip


def statistics_of(x: Float[Tensor, "B C H W"]) -> dict[str, Float[Tensor, "B"]]:
    """Lightness, contrast and, of images with channels, colour; percent.

    Lightness of a pixel is the mean over its channels.
    """
    light = 100 * x.double().mean(dim=1).flatten(1)
    found = {"lightness": light.mean(dim=1), "contrast": light.std(1, correction=0)}
    if x.shape[1] > 1:
        spread = x.amax(dim=1) - x.amin(dim=1)
        found["colour"] = 100 * spread.double().flatten(1).mean(dim=1)
    return found


def statistics_of_images(images: Labelled) -> Values:
    """Of images that nothing is done to."""
    x = to_float(images.images)
    return _joined(statistics_of(part) for part in x.split(CHUNK))


@torch.no_grad()
def statistics_of_views(
    transform: LearnedTransform, images: Labelled, config: EstimatorConfig
) -> Values:
    """Of one view of each image, drawn as for training F, no base before it."""
    draws = Draws.of_size(len(images), 0, "report looks")
    padding = transform.config.padding
    drawn = drawn_fields(transform, to_float(images.images), config, draws)
    return _joined(
        statistics_of(apply_fields(x, fields, padding=padding)) for x, fields in drawn
    )


def _joined(parts: Iterator[dict[str, Tensor]]) -> dict[str, Tensor]:
    every = list(parts)
    return {key: torch.cat([part[key] for part in every]) for key in every[0]}


def knows_target(experiment: ExperimentData) -> bool:
    """Whether influence images come from elsewhere than those that train.

    From a target or a `val` split, or shifted by the experiment itself.
    """
    data = experiment.config.data
    shifted = set() if data.shift.is_identity else set(data.shift.splits)
    is_made = "influence" in shifted and "train" not in shifted
    from_elsewhere = "target images" in experiment.images
    return is_made or data.target_source is not None or from_elsewhere


@dataclass(frozen=True, eq=False)
class Mean:
    """A mean over classes, each with the same weight, and its standard error."""

    value: float
    error: float
    """Infinite where no class has two images."""


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


@dataclass(frozen=True, kw_only=True)
class Moved:
    """One statistic of three sets of images."""

    statistic: Statistic
    train: float
    views: float
    target: float
    verdict: str
    """nearer, further, or nothing where neither is seen or noise may explain it."""

    @property
    def in_words(self) -> tuple[str, str]:
        """What views are, and what target images are, against training images."""
        if abs(self.target - self.train) < MIN_CHANGE:
            return self._than(self.views), "are not"
        beyond = (self.target > self.train) == (self.views > self.train)
        less = ", too, but by less" if beyond else ""
        return self._than(self.views), f"are {self._than(self.target)}{less}"

    def _than(self, value: float) -> str:
        return self.statistic.more if value > self.train else self.statistic.less


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
    """Compare a seed's training images, their views by each method, and its target."""
    images, aims = (sample_of_classes(p) for p in (splits.train, splits.influence))
    train, target = statistics_of_images(images), statistics_of_images(aims)
    methods = {}
    for name, transform in transforms.items():
        views = statistics_of_views(transform, images, experiment.config.estimator)
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
    target = "target images" if found.has_target else "influence images"
    methods = {}
    for name, moved in found.methods.items():
        percent = {
            each.statistic.key: {
                "training images": round(each.train, 2),
                "views": round(each.views, 2),
                target: round(each.target, 2),
            }
            for each in moved
        }
        methods[name] = {"warning": found.warnings.get(name), "percent": percent}
    write_json(run / LOOKS_FILE, {"seed": found.seed, "rows": methods})


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
    """
    known = labels.unique()
    classes = known[torch.isin(known, target_labels)]
    if not len(classes):
        raise ValueError("training and influence images have no class in common")
    moved = []
    for statistic in [each for each in STATISTICS if each.key in train]:
        key = statistic.key
        began = mean_over_classes(train[key], labels, classes)
        ended = mean_over_classes(views[key], labels, classes)
        aim = mean_over_classes(target[key], target_labels, classes)
        way = mean_over_classes(views[key] - train[key], labels, classes)
        moved.append(
            Moved(
                statistic=statistic,
                train=began.value,
                views=ended.value,
                target=aim.value,
                verdict=_verdict(began, ended, aim, way),
            )
        )
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
    found = [each.in_words for each in moved if each.verdict == "further"]
    if not found:
        return ""
    first, *others = found
    parts = [f"{first[0]} than the training images, while target images {first[1]}"]
    parts += [f"{views}, while those {target}" for views, target in others]
    return f"{method}: views are {'; '.join(parts)}."

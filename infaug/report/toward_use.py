"""Whether learned views look more like the images of use than training images do.

Seen in the numbers of `report.looks`. They do not tell a useful view from another; but
views that leave the place of use in one of them should be looked at.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from infaug.record.atomic import write_json
from infaug.record.folder import LOOKS_FILE
from infaug.report.facts import Facts
from infaug.report.learned import sample_of_classes
from infaug.report.looks import LOOKS, Look, Looks, looks_as_they_are, looks_of_views
from infaug.report.material import Material

LEAST = 2.0  # percent from black to white: a smaller change is hardly seen
STANDARD_ERRORS = 2.0


def knows_use(facts: Facts) -> bool:
    """Whether influence images come from elsewhere than those that train.

    From a target or a `val` split, or shifted by the run itself.
    """
    data = facts.config.data
    shifted = set() if data.shift.is_identity else set(data.shift.splits)
    is_made = "influence" in shifted and "train" not in shifted
    return is_made or data.target_source is not None or "target images" in facts.data


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
    """One look of three sets of images."""

    look: Look
    train: float
    views: float
    use: float
    verdict: str
    """nearer, further, or nothing where neither is seen or chance may explain it."""

    @property
    def said(self) -> tuple[str, str]:
        """What the views are, and what the images of use: against training images."""
        if abs(self.use - self.train) < LEAST:
            return self._than(self.views), "are not"
        beyond = (self.use > self.train) == (self.views > self.train)
        less = ", too, but by less" if beyond else ""
        return self._than(self.views), f"are {self._than(self.use)}{less}"

    def _than(self, value: float) -> str:
        return self.look.more if value > self.train else self.look.less


@dataclass(frozen=True, kw_only=True)
class Seen:
    """How the learned views of a seed moved, seen from the images of use."""

    seed: int
    rows: Mapping[str, Sequence[Moved]]
    """By learned row; that of the verdict first."""
    num: int
    """Training images."""
    num_use: int
    has_use: bool
    """Whether influence images come from elsewhere than training images."""

    @property
    def warnings(self) -> dict[str, str]:
        """By row, what should be looked at before its views are trusted."""
        said = {row: warning_of(row, moved) for row, moved in self.rows.items()}
        return {row: text for row, text in said.items() if text and self.has_use}


def look_at_views(material: Material) -> Seen:
    """Look at a seed's training images, their views by every learned row, and use.

    Raises:
        ValueError: if no class is in both sets.
    """
    facts = material.facts
    images = sample_of_classes(material.splits.train)
    aims = sample_of_classes(material.splits.influence)
    train, use = looks_as_they_are(images), looks_as_they_are(aims)
    rows = {}
    for row, transform in material.transforms.items():
        views = looks_of_views(transform, images, facts.config.estimator)
        rows[row] = compare_looks(train, views, use, images.labels, aims.labels)
    return Seen(
        seed=material.seed,
        rows=rows,
        num=len(images),
        num_use=len(aims),
        has_use=knows_use(facts),
    )


def write_looks(run: Path, seen: Seen) -> None:
    """Keep it with the run, for its export's card."""
    use = "images of use" if seen.has_use else "influence images"
    told = {}
    for row, moved in seen.rows.items():
        percent = {
            each.look.key: {
                "training images": round(each.train, 2),
                "views": round(each.views, 2),
                use: round(each.use, 2),
            }
            for each in moved
        }
        told[row] = {"warning": seen.warnings.get(row), "percent": percent}
    write_json(run / LOOKS_FILE, {"seed": seen.seed, "rows": told})


def compare_looks(
    train: Looks,
    views: Looks,
    use: Mapping[str, Float[Tensor, "M"]],
    labels: Int64[Tensor, "N"],
    use_labels: Int64[Tensor, "M"],
) -> list[Moved]:
    """How views of training images moved, seen from the images of use.

    Nearer or further are views whose distance to use differs from that of the training
    images by more than `LEAST` and by more than `STANDARD_ERRORS` of the way they went
    (paired); and that would be so wherever use lies within that many errors of its own.

    Raises:
        ValueError: if no class is in both sets.
    """
    classes = _in_both(labels, use_labels)
    moved = []
    for look in [look for look in LOOKS if look.key in train]:
        began = mean_over_classes(train[look.key], labels, classes)
        ended = mean_over_classes(views[look.key], labels, classes)
        aim = mean_over_classes(use[look.key], use_labels, classes)
        way = mean_over_classes(views[look.key] - train[look.key], labels, classes)
        moved.append(
            Moved(
                look=look,
                train=began.value,
                views=ended.value,
                use=aim.value,
                verdict=_verdict(began, ended, aim, way),
            )
        )
    return moved


def _in_both(labels: Tensor, use_labels: Tensor) -> Int64[Tensor, "Y"]:
    known = labels.unique()
    both = torch.isin(known, use_labels)
    if not both.any():
        raise ValueError("training and influence images have no class in common")
    return known[both]


def _verdict(train: Mean, views: Mean, use: Mean, way: Mean) -> str:
    slack = STANDARD_ERRORS * math.hypot(train.error, use.error)
    least, change, most = sorted(
        abs(views.value - aim) - abs(train.value - aim)
        for aim in (use.value - slack, use.value, use.value + slack)
    )
    is_sure = least > 0 or most < 0
    if not is_sure or abs(change) <= max(LEAST, STANDARD_ERRORS * way.error):
        return ""
    return "further" if change > 0 else "nearer"


def warning_of(row: str, moved: Sequence[Moved]) -> str:
    """A sentence about a row whose views left the place of use; nothing if none did."""
    found = [each.said for each in moved if each.verdict == "further"]
    if not found:
        return ""
    first, *others = found
    parts = [f"{first[0]} than the training images, while images of use {first[1]}"]
    parts += [f"{views}, while those of use {use}" for views, use in others]
    return f"{row}: views are {'; '.join(parts)}."

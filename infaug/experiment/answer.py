"""What an experiment with folds answers: which methods, how good, what learning gave.

Every target image was judged by F that did not see it, once for each pass over the
folds. All numbers here are over images, not over re-divisions of the same images, which
are not independent of each other.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64
from scipy import stats

from infaug.experiment.out_of_fold import OutOfFold, average, choose

CONFIDENCE = 0.95
MIN_FREEDOM = 4
# Powers of the number of images with which errors fall (Hestness et al., 2017).
SLOW, FAST = 0.07, 0.35


def half_width(
    values: Float[np.ndarray, "R M"], fold: Int64[np.ndarray, "R M"]
) -> float:
    """Half of the 95 % interval of the mean, of images drawn and of F trained.

    Images vary with the variance s^2 of their means over passes. F of one fold judges
    many images, so its noise of training is common to them: that variance t^2 is what
    folds differ by beyond their images. The square of the error is s^2 / M + t^2 /
    (number of trainings), and Student's t has the degrees of freedom of Welch and
    Satterthwaite. With few folds t^2 is often estimated as none, so the interval is at
    least that of Student's t over the trainings. Images account for most of what
    trainings differ by, so their spread is known better than two or three tell: that t
    has as many degrees of freedom as with five at least (benchmarks/intervals.py: less
    than that is too wide).
    """
    num_images = values.shape[1]
    image_variance = float(values.mean(axis=0).var(ddof=1))
    means = [
        v[f == k].mean()
        for v, f in zip(values, fold, strict=True)
        for k in np.unique(f)
    ]
    num = len(means)
    variance = _variance_of_trainings([values], fold)
    parts = np.array([image_variance / num_images, variance / num])
    if not parts.any():
        return 0.0
    freedom = parts.sum() ** 2 / (parts**2 / np.array([num_images - 1, num - 1])).sum()
    of_images = _quantile(freedom) * math.sqrt(parts.sum())
    spread = float(np.std(means, ddof=1)) / math.sqrt(num)
    return max(of_images, _quantile(max(num - 1, MIN_FREEDOM)) * spread)


def _quantile(freedom: float) -> float:
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))


def _variance_of_trainings(
    values: Sequence[Float[np.ndarray, "R M"]], fold: Int64[np.ndarray, "R M"]
) -> float:
    """What folds differ by beyond their images: one-way analysis of variance.

    The mean over passes and over what else was judged with the same folds, 0 at least.
    """
    found = [_between(v, f) for each in values for v, f in zip(each, fold, strict=True)]
    return max(0.0, float(np.mean(found)))


def _between(values: np.ndarray, fold: np.ndarray) -> float:
    groups = [values[fold == k] for k in np.unique(fold)]
    sizes = np.array([len(group) for group in groups])
    if len(groups) < 2 or len(values) <= len(groups):
        return 0.0
    mean = values.mean()
    among = sum(len(g) * (g.mean() - mean) ** 2 for g in groups) / (len(groups) - 1)
    inside = sum(((g - g.mean()) ** 2).sum() for g in groups)
    inside /= len(values) - len(groups)
    typical = (sizes.sum() - (sizes**2).sum() / sizes.sum()) / (len(groups) - 1)
    return float((among - inside) / typical)


@dataclass(frozen=True)
class Interval:
    """An estimate in percent or points, with its 95 % interval."""

    value: float
    low: float
    high: float


def difference(method: OutOfFold, control: OutOfFold) -> Interval:
    """Points of accuracy that a method is ahead, image by image."""
    ahead = 100.0 * (method.hit.astype(float) - control.hit)
    mean, half = float(ahead.mean()), half_width(ahead, method.fold)
    return Interval(mean, mean - half, mean + half)


def accuracy_of_chosen(found: Mapping[str, OutOfFold], num: int) -> Interval:
    """Accuracy of the `num` chosen methods, percent, corrected for having chosen.

    The best of several looks better than it is. So each fold is scored by what the
    other folds choose: neither its images nor the training that judges them had a part
    in the choice.

    What is handed over is trained on all K folds, those that judged on K - 1 of them,
    and errors fall with the number of images n as n^-0.07 to n^-0.35 (Hestness et al.,
    2017). So the lower end is at (1 - 1 / K)^0.07 of the error that was judged there,
    the upper end at (1 - 1 / K)^0.35 of it.
    """
    fold = next(iter(found.values())).fold
    hit = np.zeros(fold.shape)
    for k in np.unique(fold):
        members = choose(found, num, fold != k)
        chosen = average([found[name] for name in members])
        hit[fold == k] = chosen.hit[fold == k]
    made, share = accuracy_interval(hit, found), 1 - 1 / len(np.unique(fold))
    low = 100 - (100 - made.low) * share**SLOW
    high = 100 - (100 - made.high) * share**FAST
    return Interval(made.value, min(low, made.value), high)


def accuracy_interval(
    hit: Bool[np.ndarray, "R M"] | Float[np.ndarray, "R M"],
    found: Mapping[str, OutOfFold],
) -> Interval:
    """Percent of images judged right, with Wilson's interval.

    It is that of as many images as would vary by s^2 / M + t^2 / (number of trainings),
    as in `half_width`, where t^2 is taken from all methods that were found: a few folds
    of one method hardly tell it.
    """
    fold, num_images = next(iter(found.values())).fold, hit.shape[1]
    hits = [each.hit.astype(float) for each in found.values()]
    num_trainings = len(fold) * len(np.unique(fold))
    share = float(hit.mean())
    variance = float(hit.mean(axis=0).var()) / num_images
    variance += _variance_of_trainings(hits, fold) / num_trainings
    num = share * (1 - share) / variance if variance > 0 else num_images
    low, high = _wilson(share, max(min(num, num_images), 1.0))
    return Interval(100 * share, 100 * low, 100 * high)


def _wilson(p: float, num: float) -> tuple[float, float]:
    """Wilson's interval of a share of `num` images."""
    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    middle = (p + z * z / (2 * num)) / (1 + z * z / num)
    half = (
        z * math.sqrt(p * (1 - p) / num + z * z / (4 * num * num)) / (1 + z * z / num)
    )
    return middle - half, middle + half


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The methods that are handed over, trained again on all labelled images.

    Of several `members` the mean probability is used; `method` names them all.
    `accuracy`, `low` and `high` are percent, for images like the target images;
    `num_images` of them were judged. `learned_worth` compares the headline method with
    its closest control, in points; None where no learned method was run.
    """

    members: tuple[str, ...]
    accuracy: float
    low: float
    high: float
    num_images: int
    learned_worth: Mapping[str, Any] | None

    @property
    def method(self) -> str:
        """All members, as `pooled + late`."""
        return " + ".join(self.members)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"method": self.method, **asdict(self)}


def answer(
    found: Mapping[str, OutOfFold],
    headline: str | None,
    controls: Sequence[str],
    num: int,
) -> Answer:
    """The answer, from what every method says of images that it did not see.

    Args:
        found: by method, simpler ones first.
        headline: the learned method in question.
        controls: what it must beat.
        num: how many methods are averaged at most.
    """
    estimate = accuracy_of_chosen(found, num)
    worth = None
    if headline is not None and controls:
        compared = {name: difference(found[headline], found[name]) for name in controls}
        closest = min(compared, key=lambda name: compared[name].value)
        made = compared[closest]
        worth = {
            "method": headline,
            "control": closest,
            "difference": made.value,
            "low": made.low,
            "high": made.high,
        }
    return Answer(
        members=choose(found, num),
        accuracy=estimate.value,
        low=estimate.low,
        high=estimate.high,
        num_images=next(iter(found.values())).fold.shape[1],
        learned_worth=worth,
    )

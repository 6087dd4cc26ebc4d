"""What an experiment with folds answers: which method, how good, what learning gave.

Every target image was judged by F that did not see it, once for each pass over the
folds. All numbers here are over images, not over re-divisions of the same images, which
are not independent of each other.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64
from scipy import stats

from infaug.record.folder import RunFolder

CONFIDENCE = 0.95
LEARNING_CURVE = 0.25  # power of the number of images with which errors fall
TEMPERATURES = np.geomspace(0.05, 100, 200)


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """What a method says of every target image, each image judged unseen.

    `hit` and `log_prob` are [R, M] for R passes over the folds and M images: whether
    the likeliest class is the label, and log p(label) in nats at the temperature that
    suits the method. `fold` [R, M] says which training judged an image.
    """

    hit: Bool[np.ndarray, "R M"]
    log_prob: Float[np.ndarray, "R M"]
    fold: Int64[np.ndarray, "R M"]

    @property
    def accuracy(self) -> float:
        """Percent, over images and passes."""
        return 100 * float(self.hit.mean())

    @property
    def loss(self) -> float:
        """Mean of -log_prob, nats."""
        return -float(self.log_prob.mean())


def out_of_fold(
    folder: RunFolder, method: str, num_folds: int, seeds: int
) -> OutOfFold:
    """What the trainings of a method kept of the images they judged."""
    logits, labels, folds = [], [], []
    for first in range(0, seeds, num_folds):
        judged = [folder.weights(method, first + k, "judged") for k in range(num_folds)]
        index, label, log_probs = (
            np.concatenate([each[name].numpy() for each in judged])
            for name in ("index", "labels", "log_probs")
        )
        order = np.argsort(index)
        fold = np.repeat(np.arange(num_folds), [len(each["index"]) for each in judged])
        logits.append(log_probs[order].astype(np.float64))
        labels.append(label[order])
        folds.append(fold[order])
    truth = np.stack(labels)
    tempered = at_temperature(np.concatenate(logits), truth.ravel())
    log_prob = np.take_along_axis(tempered, truth.reshape(-1, 1), axis=1)
    return OutOfFold(
        hit=np.stack(logits).argmax(axis=2) == truth,
        log_prob=log_prob.reshape(truth.shape),
        fold=np.stack(folds),
    )


def at_temperature(
    log_probs: Float[np.ndarray, "N Y"], labels: Int64[np.ndarray, "N"]
) -> Float[np.ndarray, "N Y"]:
    """Log-probabilities at the temperature of least loss on these labels (Guo, 2017).

    One number for all images: methods are compared by what they know, not by how sure
    they are.
    """

    def scaled(temperature: float) -> Float[np.ndarray, "N Y"]:
        z = log_probs / temperature
        z = z - z.max(axis=1, keepdims=True)
        return z - np.log(np.exp(z).sum(axis=1, keepdims=True))

    def loss(temperature: float) -> float:
        return -float(scaled(temperature)[np.arange(len(labels)), labels].mean())

    return scaled(min(TEMPERATURES, key=loss))


def choose(found: Mapping[str, OutOfFold]) -> str:
    """The method of least out-of-fold loss; of equal ones the first."""
    return min(found, key=lambda name: found[name].loss)


def half_width(
    values: Float[np.ndarray, "R M"], fold: Int64[np.ndarray, "R M"]
) -> float:
    """Half of the 95 % interval of the mean, of images drawn and of F trained.

    Images vary with the variance s^2 of their means over passes. F of one fold judges
    many images, so its luck in training is common to them: that variance t^2 is what
    folds differ by beyond their images (one-way analysis of variance). The square of
    the error is s^2 / M + t^2 / (number of trainings), and Student's t has the degrees
    of freedom of Welch and Satterthwaite. With few folds t^2 is often estimated as
    none, so the interval is at least that of Student's t over the trainings.
    """
    num_images = values.shape[1]
    image_variance = float(values.mean(axis=0).var(ddof=1))
    between = np.mean([_between(v, f) for v, f in zip(values, fold, strict=True)])
    means = [
        v[f == k].mean()
        for v, f in zip(values, fold, strict=True)
        for k in np.unique(f)
    ]
    num = len(means)
    parts = np.array([image_variance / num_images, float(between) / num])
    if not parts.any():
        return 0.0
    freedom = parts.sum() ** 2 / (parts**2 / np.array([num_images - 1, num - 1])).sum()
    of_images = _quantile(freedom) * math.sqrt(parts.sum())
    return max(of_images, _quantile(num - 1) * float(np.std(means, ddof=1)) / num**0.5)


def _quantile(freedom: float) -> float:
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))


def _between(values: np.ndarray, fold: np.ndarray) -> float:
    """Variance of trainings, 0 at least."""
    groups = [values[fold == k] for k in np.unique(fold)]
    sizes = np.array([len(group) for group in groups])
    if len(groups) < 2 or len(values) <= len(groups):
        return 0.0
    mean = values.mean()
    among = sum(len(g) * (g.mean() - mean) ** 2 for g in groups) / (len(groups) - 1)
    inside = sum(((g - g.mean()) ** 2).sum() for g in groups)
    inside /= len(values) - len(groups)
    typical = (sizes.sum() - (sizes**2).sum() / sizes.sum()) / (len(groups) - 1)
    return max(0.0, float((among - inside) / typical))


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


def accuracy_of_chosen(found: Mapping[str, OutOfFold]) -> Interval:
    """Accuracy of the chosen method, percent, corrected for having chosen.

    Whoever takes the best of several takes its luck as well. So each fold is scored by
    the method that the other folds choose: neither its images nor the training that
    judges them had a part in the choice.

    What is handed over is trained on all K folds, those that judged on K - 1 of them,
    and errors fall with the number of images n as n^-0.07 to n^-0.35 (Hestness et al.,
    2017). So the upper end allows for an error that is (1 - 1 / K)^0.25 of it.
    """
    names = list(found)
    fold = found[names[0]].fold
    hit = np.zeros(fold.shape)
    for k in np.unique(fold):
        loss = [-float(found[name].log_prob[fold != k].mean()) for name in names]
        chosen = found[names[int(np.argmin(loss))]]
        hit[fold == k] = chosen.hit[fold == k]
    made, num_folds = accuracy_interval(hit, fold), len(np.unique(fold))
    high = 100 - (100 - made.high) * (1 - 1 / num_folds) ** LEARNING_CURVE
    return replace(made, high=high)


def accuracy_interval(
    hit: Bool[np.ndarray, "R M"] | Float[np.ndarray, "R M"],
    fold: Int64[np.ndarray, "R M"],
) -> Interval:
    """Percent of images judged right, with Wilson's interval.

    It is that of as many images as would give the width of `half_width`.
    """
    mean = float(hit.mean())
    low, high = _wilson(mean, half_width(hit.astype(float), fold), len(hit[0]))
    return Interval(100 * mean, 100 * low, 100 * high)


def _wilson(p: float, half: float, num_images: int) -> tuple[float, float]:
    """Wilson's interval of a share whose normal interval is as wide as 2 `half`."""
    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    num = min(num_images, p * (1 - p) * (z / half) ** 2) if half > 0 else num_images
    num = max(num, 1.0)
    middle = (p + z * z / (2 * num)) / (1 + z * z / num)
    half = (
        z * math.sqrt(p * (1 - p) / num + z * z / (4 * num * num)) / (1 + z * z / num)
    )
    return middle - half, middle + half


def answer(
    found: Mapping[str, OutOfFold], headline: str | None, controls: Sequence[str]
) -> dict[str, Any]:
    """The answer, from what every method says of images that it did not see.

    Args:
        found: by method, simpler ones first.
        headline: the learned method in question.
        controls: what it must beat.

    Returns:
        "method", the one that is handed over, trained again on all labelled images; its
        "accuracy" with "low" and "high", percent, for images like the target images, of
        which "num_images" were judged; "learned_worth", the headline method against its
        closest control, in points; None where no learned method was run.
    """
    estimate = accuracy_of_chosen(found)
    method = choose(found)
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
    return {
        "method": method,
        "accuracy": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "num_images": found[method].hit[0].size,
        "learned_worth": worth,
    }

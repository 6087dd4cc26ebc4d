"""What methods say of images that they did not see, and which are chosen by it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from scipy.optimize import fminbound

from infaug.record.folder import RunFolder

BETAS = (0.01, 20.0)  # inverse temperatures
CLOSE = 2.5  # standard errors; chosen on half of the problems of ray_jobs/regret.py


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """What a method says of every target image, each image judged unseen.

    `log_probs` [R, M, Y] for R passes over the folds, M images and Y classes, in nats,
    as F says them; `labels` [M]; `fold` [R, M] says which training judged an image.
    """

    log_probs: Float[np.ndarray, "R M Y"]
    labels: Int64[np.ndarray, "M"]
    fold: Int64[np.ndarray, "R M"]

    @cached_property
    def hit(self) -> Bool[np.ndarray, "R M"]:
        """Whether the likeliest class is the label."""
        return self.log_probs.argmax(axis=2) == self.labels

    @property
    def accuracy(self) -> float:
        """Percent, over images and passes."""
        return 100 * float(self.hit.mean())

    @cached_property
    def loss(self) -> float:
        """Mean of `losses_where`, of all judgements."""
        return float(self.losses_where(np.ones_like(self.fold, dtype=bool)).mean())

    def losses_where(self, kept: Bool[np.ndarray, "R M"]) -> Float[np.ndarray, "K"]:
        """-log p(label) of the K images with judgements that are kept, nats.

        The mean over an image's passes, at the temperature with the lowest loss on
        these judgements (Guo et al., 2017), one number for all of them: methods are
        compared by what they know, not by how sure they are.
        """
        passes, image = kept.nonzero()
        logits, at = self.log_probs[passes, image], np.arange(len(image))

        def losses(log_beta: float) -> Float[np.ndarray, "N"]:
            z = np.exp(log_beta) * logits
            return np.logaddexp.reduce(z, axis=1) - z[at, self.labels[image]]

        best = fminbound(lambda each: losses(each).mean(), *np.log(BETAS))
        found = losses(np.asarray(best).item())
        total, count = np.bincount(image, found), np.bincount(image)
        return total[count > 0] / count[count > 0]


def average(found: Sequence[OutOfFold]) -> OutOfFold:
    """What the mean of several methods' probabilities says of the images."""
    total = np.logaddexp.reduce([each.log_probs for each in found], axis=0)
    return replace(found[0], log_probs=total - math.log(len(found)))


def out_of_fold(
    folder: RunFolder, method: str, num_folds: int, seeds: int
) -> OutOfFold:
    """What the trainings of a method kept of the images they judged."""
    passes = []
    for first in range(0, seeds, num_folds):
        judged = [folder.weights(method, first + k, "judged") for k in range(num_folds)]
        order = torch.cat([each["index"] for each in judged]).argsort()
        fold = [torch.full_like(each["index"], k) for k, each in enumerate(judged)]
        log_probs, labels = (
            torch.cat([each[name] for each in judged])[order]
            for name in ("log_probs", "labels")
        )
        passes.append((log_probs.double(), labels, torch.cat(fold)[order]))
    log_probs, labels, fold = zip(*passes, strict=True)
    return OutOfFold(
        log_probs=torch.stack(log_probs).numpy(),
        labels=labels[0].numpy(),
        fold=torch.stack(fold).long().numpy(),
    )


def choose(
    found: Mapping[str, OutOfFold],
    num: int,
    kept: Bool[np.ndarray, "R M"] | None = None,
) -> tuple[str, ...]:
    """The method of least out-of-fold loss, and those that are hardly worse.

    F of all of them are averaged. What recipes get wrong differs, and a few images tell
    good recipes from bad ones, but hardly the best from the next. A method is hardly
    worse if its loss is at most `CLOSE` standard errors above the least, image by
    image: no significant difference among a dozen methods (as in the model confidence
    set of Hansen et al., 2011). Choosing members by the loss of their average (Caruana
    et al., 2004) fits the few images too well: it was behind on the problems of
    `ray_jobs/regret.py`.

    Args:
        found: by method, simpler ones first.
        num: how many at most.
        kept: the judgements to choose by; None: all of them.

    Returns:
        Names, best first; of equal ones the first.
    """
    if kept is None:
        kept = np.ones_like(next(iter(found.values())).fold, dtype=bool)
    losses = {name: each.losses_where(kept) for name, each in found.items()}
    order = sorted(losses, key=lambda name: float(losses[name].mean()))
    least = losses[order[0]]
    return tuple(name for name in order if _is_close(losses[name] - least))[:num]


def _is_close(behind: Float[np.ndarray, "K"]) -> bool:
    """Whether the mean is at most `CLOSE` of its standard errors above 0."""
    error = float(behind.std(ddof=1)) / math.sqrt(len(behind))
    return bool(behind.mean() <= CLOSE * error)

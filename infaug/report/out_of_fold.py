"""What the answer said of images it did not see: where it is right and wrong.

Only experiments with folds have this: each training kept what it said of the images
that it judged (`judged.safetensors`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from infaug.data.dataset import to_float
from infaug.data.problem import divide
from infaug.data.source import load
from infaug.record.folder import RunFolder
from infaug.report.experiment_data import ExperimentData, Line
from infaug.report.gallery import picture

MAX_CONFUSED = 20  # classes of a matrix; of more, the pairs that are confused most
NUM_PAIRS = 12
NUM_BINS = 10
NUM_MISTAKES = 12


@dataclass(frozen=True, eq=False, kw_only=True)
class Judged:
    """Every judgement of the answer: N = images times passes over the folds."""

    method: str
    classes: tuple[str, ...]
    probs: Float[Tensor, "N Y"]
    labels: Int64[Tensor, "N"]
    where: Sequence[tuple[int, int]]
    """Of each, the training and the position among the images that it judged."""

    @property
    def predicted(self) -> Int64[Tensor, "N"]:
        """The likeliest class."""
        return self.probs.argmax(dim=1)


def judgements(experiment: ExperimentData) -> Judged:
    """What the methods that are handed over said of each target image, out of fold.

    Raises:
        ValueError: without folds, or while the experiment is not finished.
    """
    if not experiment.is_folded:
        raise ValueError("the images were not judged in folds (--data.folds)")
    if experiment.result is None:
        raise ValueError("the answer is known when the experiment is finished")
    answer, folder = experiment.result["answer"], RunFolder(experiment.path)
    seeds = range(experiment.config.seeds)
    by_member = [
        [folder.weights(method, seed, "judged") for seed in seeds]
        for method in answer["members"]
    ]
    probs = [
        torch.cat([each["log_probs"].double().exp() for each in judged])
        for judged in by_member
    ]
    judged = by_member[0]
    return Judged(
        method=answer["method"],
        classes=tuple(map(str, experiment.images["classes"])),
        probs=torch.stack(probs).mean(dim=0),
        labels=torch.cat([each["labels"] for each in judged]),
        where=[
            (seed, at)
            for seed, each in zip(seeds, judged, strict=True)
            for at in range(len(each["labels"]))
        ],
    )


def confusion(judged: Judged) -> Int64[Tensor, "Y Y"]:
    """How many images of each class (line) were taken for each class (column)."""
    num = len(judged.classes)
    pairs = judged.labels * num + judged.predicted
    return pairs.bincount(minlength=num * num).view(num, num)


def confused_pairs(judged: Judged) -> list[tuple[str, str, int, int]]:
    """Class, what it was taken for, how often, and of how many images; worst first."""
    counts = confusion(judged)
    sizes, wrong = counts.sum(dim=1), counts.clone().fill_diagonal_(0)
    order = wrong.flatten().argsort(descending=True, stable=True)[:NUM_PAIRS]
    pairs = [divmod(at, len(judged.classes)) for at in order.tolist()]
    return [
        (judged.classes[a], judged.classes[b], int(wrong[a, b]), int(sizes[a]))
        for a, b in pairs
        if wrong[a, b]
    ]


Bins = list[tuple[float, float, int]]


def calibration(judged: Judged) -> tuple[Bins, float]:
    """Judgements binned by the probability of the likeliest class, and their error.

    A bin is the mean probability and the share that was right, percent, and the number
    of judgements; the error is the mean distance of the two, points (Guo, 2017).
    """
    sure, right = judged.probs.amax(dim=1), judged.predicted == judged.labels
    bin_of = (sure * NUM_BINS).long().clamp(max=NUM_BINS - 1)
    bins = [
        (100 * float(sure[at].mean()), 100 * float(right[at].double().mean()),
         int(at.sum()))
        for at in (bin_of == k for k in range(NUM_BINS))
        if at.any()
    ]  # fmt: skip
    error = sum(num * abs(said - was) for said, was, num in bins) / len(sure)
    return bins, error


def mistakes(experiment: ExperimentData, judged: Judged) -> list[Line]:
    """The most confident ones, each image once, with the wrong class's probability.

    Raises:
        ValueError: if the images cannot be loaded any more.
    """
    wrong = judged.predicted != judged.labels
    sure = judged.probs.amax(dim=1).where(wrong, torch.tensor(-1.0).double())
    order = sure.argsort(descending=True, stable=True)[: int(wrong.sum())].tolist()
    if not order:
        return []
    config, found = experiment.config.data, {}
    source, divided = load(config), {}
    for at in order:
        seed, position = judged.where[at]
        if seed not in divided:
            divided[seed] = divide(source, config, seed)
        index = int(divided[seed].at.test[position])
        if index not in found:
            label, taken = (
                judged.classes[int(of[at])] for of in (judged.labels, judged.predicted)
            )
            picked = divided[seed].test.select(torch.tensor([position]))
            image = to_float(picked.images)[0]
            found[index] = {
                "image": picture(image, f"{label}, taken for {taken}"),
                "label": label,
                "predicted": taken,
                "percent": 100 * float(sure[at]),
            }
        if len(found) == NUM_MISTAKES:
            break
    return list(found.values())


def judged_section(experiment: ExperimentData) -> Mapping[str, Any]:
    """Confusion, calibration and mistakes of the answer."""
    judged = judgements(experiment)
    bins, error = calibration(judged)
    try:
        found: Any = mistakes(experiment, judged)
    except (ValueError, OSError) as why:  # the images may have gone
        found = str(why)
    return {
        "judged": judged,
        "counts": confusion(judged).tolist(),
        "is_matrix": len(judged.classes) <= MAX_CONFUSED,
        "pairs": confused_pairs(judged),
        "num": len(judged.labels),
        "error": error,
        "bins": bins,
        "mistakes": found,
    }

"""Which image serves which purpose: indices only, no images.

Images are shuffled once. Each split then takes its share class by class: test first,
then target, from the front of the shuffled order, then labels, from its back. So what
is held out and what is trained on do not depend on each other, unless together they
exhaust a class. Every fraction is of what the earlier splits left. A long tail is cut
last, from the training images alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from infaug.config import DataConfig
from infaug.data.class_sizes import rank_in_class, thin
from infaug.randomness import generator
from infaug.words import plural

MAX_TARGET = 200  # influence and selection images, by default
MIN_OF_CLASS = 2  # one influence image, one selection image


@dataclass(frozen=True, eq=False)
class Indices:
    """Disjoint positions among the images of a source, ascending in each split.

    `influence`, `selection` and `test` are positions among the target images where a
    source has such and they are held out of those.
    """

    train: Int64[Tensor, "train"]
    influence: Int64[Tensor, "influence"]
    selection: Int64[Tensor, "selection"]
    test: Int64[Tensor, "test"]
    """Empty if the source brings its own."""
    unlabelled: Int64[Tensor, "unlabelled"]
    """Training images whose labels are not used: all others, but for those that a
    long-tailed training set leaves out."""


def split(
    labels: Int64[Tensor, "N"],
    config: DataConfig,
    test_given: bool,
    class_names: Sequence[str] = (),
    *,
    target_labels: Int64[Tensor, "M"] | None = None,
    test_of_target: bool = False,
    fold: int | None = None,
) -> Indices:
    """Divide N images as `config` asks; a pure function of its arguments.

    Stratified: every split has at least one image of each class, and otherwise classes
    in proportion to what was left; only a training split with a `tail` has not. For the
    same seed, a smaller `labels` is a subset of a larger one, and so is a smaller
    `target`, as influence and selection together. A count of labels draws the same
    images for any target that leaves enough of a class.

    Args:
        labels: of the training images.
        config: seed, shares and number of labels.
        test_given: whether there is a test split of its own.
        class_names: for messages.
        target_labels: of M target images that lie beside these, perhaps not of all
            classes: all of them drive or choose but for those that test, whatever
            `config.target` says. `source.load` sees to it that there are enough.
        test_of_target: whether test images are held out of those.
        fold: which of `config.folds` is judged; None: none, all images train.
    """
    rest = torch.randperm(len(labels), generator=generator(config.seed, "split"))
    test, target = rest[:0], rest[:0]
    if target_labels is None:
        if config.folds:
            test, rest = _fold(rest, labels, config.folds, fold)
        elif not test_given:
            test, rest = _take("test", config.test, rest, labels, class_names, 1)
        wanted = config.target
        if wanted is None:
            min_target = MIN_OF_CLASS * (int(labels.max()) + 1)
            wanted = max(min(MAX_TARGET, round(len(rest) / 5)), min_target)
        target, _ = _take("target", wanted, rest, labels, class_names, MIN_OF_CLASS)
        influence, selection = _divide(target, labels, config.influence_share)
    else:
        shuffle = generator(config.seed, "split target")
        held = torch.randperm(len(target_labels), generator=shuffle)
        if config.folds:
            test, held = _fold(held, target_labels, config.folds, fold)
        elif test_of_target and not test_given:
            share = _size("test", config.test, len(held)) / len(held)
            test, held = _divide(held, target_labels, share, keep=2)
        elif not test_given:
            test, rest = _take("test", config.test, rest, labels, class_names, 1)
        influence, selection = _divide(held, target_labels, config.influence_share)
    train, unlabelled = _take_labels(config.labels, rest, target, labels, class_names)
    train = thin(train, labels, config.tail, config.seed)
    parts = (train, influence, selection, test, unlabelled)
    return Indices(*(part.sort().values for part in parts))


def stratified_order(
    labels: Int64[Tensor, "N"], *, at_least: int
) -> Int64[Tensor, "N"]:
    """An order whose every prefix has the classes in proportion.

    The j-th image of a class with n images (j = 0, 1, ...) stands at
    max(0, j + 1 - at_least) / n, so the first `at_least` of each class come first. Ties
    keep the given order.

    >>> stratified_order(torch.tensor([0, 0, 0, 0, 1, 1]), at_least=1).tolist()
    [0, 4, 1, 2, 5, 3]
    """
    rank, counts = rank_in_class(labels), labels.bincount()
    place = (rank + 1 - at_least).clamp(min=0).double() / counts[labels]
    return place.argsort(stable=True)


def _take(
    name: str,
    wanted: float | None,
    candidates: Tensor,
    labels: Tensor,
    class_names: Sequence[str],
    at_least: int,
) -> tuple[Tensor, Tensor]:
    """The chosen candidates, and the rest in the order in which they came."""
    size = _size(name, wanted, len(candidates))
    order = stratified_order(labels[candidates], at_least=at_least)
    chosen = candidates[order[:size]]
    _check_classes(name, chosen, candidates, labels, at_least, class_names)
    return chosen, candidates[order[size:].sort().values]


def _take_labels(
    wanted: float | None,
    rest: Tensor,
    target: Tensor,
    labels: Tensor,
    class_names: Sequence[str],
) -> tuple[Tensor, Tensor]:
    """Of `rest` without `target`: the training images, and what remains.

    The order is that of all of `rest` from its back, and `target` is left out of it
    afterwards: its images are the last ones of each class.
    """
    backwards = rest.flip(0)
    order = backwards[stratified_order(labels[backwards], at_least=1)]
    left = order[torch.isin(order, target, invert=True)]
    size = _size("labels", wanted, len(left))
    _check_classes("labels", left[:size], left, labels, 1, class_names)
    return left[:size], left[size:]


def _size(name: str, wanted: float | None, available: int) -> int:
    if wanted is None:
        return available
    if wanted >= 1 and wanted != int(wanted):
        raise ValueError(
            f"data.{name} must be a whole count or a fraction below 1, got {wanted}"
        )
    size = int(wanted) if wanted >= 1 else round(wanted * available)
    if size > available:
        raise ValueError(
            f"data.{name} asks for {size} images, but {available} are left for it: "
            "lower it, or hold out less with --data.test or --data.target"
        )
    return size


def _check_classes(
    name: str,
    chosen: Tensor,
    candidates: Tensor,
    labels: Tensor,
    at_least: int,
    class_names: Sequence[str],
) -> None:
    num_classes = int(labels.max()) + 1
    has = labels[chosen].bincount(minlength=num_classes)
    if int(has.min()) >= at_least:
        return
    left = labels[candidates].bincount(minlength=num_classes)
    remedy = f"raise --data.{name} to a count of {at_least * num_classes} or more"
    if int(left.min()) < at_least:
        few = int(left.argmin())
        named = repr(class_names[few]) if class_names else few
        remedy = (
            f"class {named} has {plural(int(left.min()), 'image')} left for it; add "
            "images of that class, or hold out less with --data.test or --data.target"
        )
    raise ValueError(
        f"split `{name}` is too small: {plural(len(chosen), 'image')} for "
        f"{num_classes} classes, of which it needs {at_least} each: {remedy}"
    )


def _fold(
    shuffled: Tensor, labels: Tensor, num_folds: int, fold: int | None
) -> tuple[Tensor, Tensor]:
    """The images of a fold, class by class in proportion, and the others.

    Without a fold, none and all.
    """
    if fold is None:
        return shuffled[:0], shuffled
    by_class = shuffled[labels[shuffled].argsort(stable=True)]
    is_in = torch.zeros(len(labels), dtype=torch.bool)
    is_in[by_class[fold::num_folds]] = True
    return shuffled[is_in[shuffled]], shuffled[~is_in[shuffled]]


def _divide(
    target: Tensor, labels: Tensor, share: float, *, keep: int = 1
) -> tuple[Tensor, Tensor]:
    """Two parts with images of every class, the first one of about this share.

    What rounding owes is carried to the next class, so the sizes come out as `share`;
    at least `keep` images of each class are left to the second part.
    """
    drives = torch.zeros(len(target), dtype=torch.bool)
    owed = 0.0
    for label in labels.unique():
        members = (labels[target] == label).nonzero().squeeze(1)
        owed += share * len(members)
        taken = min(max(round(owed), 1), len(members) - keep)
        owed -= taken
        drives[members[:taken]] = True
    return target[drives], target[~drives]

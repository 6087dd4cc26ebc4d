"""Do the classes of a source's splits agree?"""

import re
import warnings
from collections.abc import Sequence

import torch
from jaxtyping import Int64
from torch import Tensor

from infaug.data.names import class_label
from infaug.words import plural


def number_classes(
    where: str, labels: Int64[Tensor, "N"], names: tuple[str, ...] | None
) -> tuple[str, ...]:
    """Class names of the training images; without stored names, classes are numbers."""
    present = labels.unique()
    num_classes = len(names) if names is not None else len(present)
    absent = _first_absent(present, num_classes)
    if absent is not None:
        named = f" ({names[absent]!r})" if names is not None else ""
        raise ValueError(
            f"{where}: no training image has class {absent}{named}, but labels go up "
            f"to {max(int(present[-1]), num_classes - 1)}: add images of it, or number "
            "the classes from 0 without gaps"
        )
    names = names or tuple(str(number) for number in range(num_classes))
    if num_classes < 2:
        raise ValueError(
            f"{where}: all training images have one class, {names[0]!r}: a classifier "
            "needs two or more"
        )
    return names


def numbered_as(
    train_names: tuple[str, ...],
    labels: Int64[Tensor, "n"],
    names: tuple[str, ...] | None,
    where: str,
) -> Int64[Tensor, "n"]:
    """Labels of other images by the numbers that their classes have in train.

    Classes match by name; bare numbers match bare numbers. Some may be missing.
    """
    _refuse_bare_numbers(where, train_names, names)
    # Some systems take letters and their accents apart in the names of folders.
    of_train, numbers = tuple(map(class_label, train_names)), labels.unique()
    present = [class_label(names[n] if names else str(n)) for n in numbers.tolist()]
    unknown = [name for name in present if name not in of_train]
    if unknown:
        some = ", ".join(repr(name) for name in train_names[:10])
        raise ValueError(
            f"{where} has the class {unknown[0]!r}, which no training image has: "
            f"classes match by name, and train has {some}"
            f"{', ...' if len(train_names) > 10 else ''}"
            f"{_alike(unknown[0], of_train)}; "
            "rename it, add training images of it, or take its images away"
        )
    number = {name: label for label, name in enumerate(of_train)}
    translated = torch.tensor([number[name] for name in present])
    return translated[torch.searchsorted(numbers, labels)]


def _refuse_bare_numbers(
    where: str, train_names: tuple[str, ...], names: tuple[str, ...] | None
) -> None:
    """Which number is which name cannot be guessed."""
    if names is None and any(not name.isdecimal() for name in train_names):
        some = ", ".join(repr(name) for name in train_names[:5])
        raise ValueError(
            f"{where} has bare numbers for labels, and train has names ({some}): write "
            "the names into the Parquet schema's metadata as `class_names`, a JSON "
            "list in order of number, or give labels as names"
        )


def _alike(name: str, of_train: Sequence[str]) -> str:
    """A hint at a class that differs in case alone, or at bare numbers in train."""
    same = [other for other in of_train if other.casefold() == name.casefold()]
    if same:
        return f" ({same[0]!r} differs in case alone)"
    if all(other.isdecimal() for other in of_train) and not name.isdecimal():
        return (
            " (bare numbers: write names into the Parquet schema's metadata as "
            "`class_names`, a JSON list in order of number)"
        )
    return ""


def alike_names(names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of class names that differ in case or outer spaces alone."""
    first: dict[str, str] = {}
    pairs = []
    for name in names:
        twin = first.setdefault(name.casefold().strip(), name)
        if twin != name:
            pairs.append((twin, name))
    return pairs


def joined_names(names: Sequence[str]) -> list[str]:
    """Class names that list others, as several labels of one image are written.

    >>> joined_names(["cat", "cat|pet", "dog", "black, white"])
    ['cat|pet']
    """
    parts = {name: [p.strip() for p in re.split(r"[|;,]", name)] for name in names}
    return [k for k, found in parts.items() if len(found) > 1 and {*found} & {*names}]


def check_enough(
    labels: Int64[Tensor, "n"],
    train_names: tuple[str, ...],
    min_images: int,
    where: str,
    why: str,
) -> None:
    """Refuse held-out images with too few of a class that they have."""
    counts = labels.bincount(minlength=len(train_names))
    few = [int(label) for label in labels.unique() if counts[label] < min_images]
    if few:
        others = f" (and of {len(few) - 1} more)" if len(few) > 1 else ""
        raise ValueError(
            f"{where} has {plural(int(counts[few[0]]), 'image')} of class "
            f"{train_names[few[0]]!r}{others}, and needs {min_images} of each class "
            f"that it has, {why}: add images, or take those of that class away"
        )


def warn_of_missing(
    labels: Int64[Tensor, "n"], train_names: tuple[str, ...], where: str
) -> None:
    """Warn of classes that held-out images lack."""
    counts = labels.bincount(minlength=len(train_names))
    lacking = [
        name for name, count in zip(train_names, counts, strict=True) if not count
    ]
    if lacking:
        named = ", ".join(lacking[:10]) + (", ..." if len(lacking) > 10 else "")
        warnings.warn(
            f"{where} has no image of {named}: {len(lacking)} of {len(train_names)} "
            "classes are trained on, but how well they do there is not measured",
            stacklevel=4,
        )


def _first_absent(present: Int64[Tensor, "y"], num_classes: int) -> int | None:
    """The least of 0..Y-1 that is not among the sorted numbers present, if any."""
    absent = torch.isin(torch.arange(num_classes), present, invert=True).nonzero()
    return int(absent[0]) if len(absent) else None

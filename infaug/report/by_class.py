"""Accuracy on test class by class: a mean hides a class that is never found."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from infaug.report.facts import Facts, Line

MOST_CLASSES = 12  # more columns than that nobody reads


@dataclass(frozen=True, kw_only=True)
class ByClass:
    """Top-1 on test of classes, percent, means over finished seeds."""

    classes: tuple[str, ...]
    num_left_out: int
    """Classes that do better than these on average over rows."""
    rows: Mapping[str, tuple[float | None, ...]]
    """None where no seed has a test image of the class."""


def by_class(facts: Facts) -> ByClass | None:
    """The classes that do worst, of every row; None before a cell has told of them."""
    found = {
        row: means
        for row, results in facts.found.items()
        if (means := _means(results.values()))
    }
    if not found:
        return None
    names = [str(name) for name in facts.data["classes"]]
    worst = sorted(range(len(names)), key=lambda at: _over_rows(found, at))
    shown = sorted(worst[:MOST_CLASSES])
    return ByClass(
        classes=tuple(names[at] for at in shown),
        num_left_out=len(names) - len(shown),
        rows={row: tuple(means[at] for at in shown) for row, means in found.items()},
    )


def _means(results: Iterable[Line]) -> list[float | None]:
    """Of each class over seeds."""
    told = [each["test_by_class"] for each in results if "test_by_class" in each]
    return [_mean(column) for column in zip(*told, strict=True)]


def _over_rows(found: Mapping[str, list[float | None]], at: int) -> float:
    mean = _mean([means[at] for means in found.values()])
    return 100.0 if mean is None else mean


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None

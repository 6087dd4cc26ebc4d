"""Where methods stand, class by class too, and which images were left out."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from infaug.experiment.summary import gap_closed, statistics
from infaug.experiment.verdict import best_random, headline_method, with_best_random
from infaug.report.facts import Facts, Line
from infaug.training.methods import RANDOM, RANDOM_METHODS
from infaug.words import are, plural, were


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A row of the table.

    `seeds` are top-1 on test, percent; `std` is None for one seed, `mean` for none.
    """

    row: str
    seeds: Mapping[int, float]
    mean: float | None
    std: float | None
    test_loss: float | None
    """Mean over seeds, nats."""
    is_part: bool
    """Whether `base_random` is the better of this row and another."""


def standings(facts: Facts) -> list[Standing]:
    """Every row that the run has, finished cells alone; `base_random` among them."""
    lines = []
    best = best_random(facts.found)
    for name in facts.row_names:
        is_part = name in RANDOM_METHODS
        if is_part and RANDOM not in [line.row for line in lines]:
            lines.append(_standing(RANDOM, best))
        lines.append(_standing(name, facts.found.get(name, {}), is_part=is_part))
    return lines


def tops(facts: Facts) -> dict[str, dict[int, float]]:
    """Top-1 on test by row and seed, of rows with a finished cell; percent."""
    return {
        method: {seed: record["test_top1"] for seed, record in records.items()}
        for method, records in with_best_random(facts.found).items()
        if records
    }


def gaps(facts: Facts) -> dict[str, float]:
    """Percent of the way from `base` to `oracle`; see `comparison.summary`."""
    means = {row: list(seeds.values()) for row, seeds in tops(facts).items()}
    return gap_closed(means)


def speaking_row(facts: Facts) -> str | None:
    """The learned row that the verdict is about; None if none is finished."""
    return headline_method([row for row, found in facts.found.items() if found])


def _standing(
    row: str, found: Mapping[int, Line], *, is_part: bool = False
) -> Standing:
    values = {seed: result["test_top1"] for seed, result in found.items()}
    numbers = statistics(list(values.values())) if values else {}
    losses = [r["test_loss"] for r in found.values() if "test_loss" in r]
    return Standing(
        row=row,
        seeds=values,
        mean=numbers.get("mean"),
        std=numbers.get("std"),
        test_loss=sum(losses) / len(losses) if losses else None,
        is_part=is_part,
    )


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


MOST_NAMED = 10


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """Images that were left out for one reason, the first of them by name."""

    says: str
    lines: Sequence[str]
    more: str
    """How many are not named here, and where they are; empty if all are."""


def left_out(facts: Facts) -> list[LeftOut]:
    """What was skipped or changed, and is in two splits, by the run's own files."""
    every = (_unreadable(facts), _changed(facts), _duplicates(facts))
    return [found for found in every if found]


def _unreadable(facts: Facts) -> LeftOut | None:
    lines = _lines(facts, "unreadable.txt")
    num = len(lines)
    says = f"{plural(num, 'image')} could not be read and {were(num)} skipped."
    return _named(says, lines, "unreadable.txt")


def _changed(facts: Facts) -> LeftOut | None:
    lines = _lines(facts, "images.txt")
    return _named("What was chosen and changed on reading:", lines, "images.txt")


def _duplicates(facts: Facts) -> LeftOut | None:
    """By name: seeds divide the images anew and so have many of them in common."""
    found = {}
    for line in _lines(facts, "duplicates.jsonl"):
        each = json.loads(line)
        found.setdefault(each["name"], each)
    num, is_kept = len(found), facts.config.data.drop_duplicates is False
    done = "kept in both (drop-duplicates is off)" if is_kept else "left out of one"
    says = (
        f"{plural(num, 'image')} {are(num)}, pixel by pixel, in two splits of a seed, "
        f"and {were(num)} {done}."
    )
    said = "in" if is_kept else "left out of"
    lines = [
        f"{name}, {said} {each['split']}: the same as {each['twin']} ({each['held']})"
        for name, each in found.items()
    ]
    return _named(says, lines, "duplicates.jsonl")


def _lines(facts: Facts, name: str) -> list[str]:
    path = facts.path / name
    return path.read_text().splitlines() if path.exists() else []


def _named(says: str, lines: Sequence[str], file: str) -> LeftOut | None:
    if not lines:
        return None
    more = len(lines) - MOST_NAMED
    return LeftOut(
        says=says,
        lines=lines[:MOST_NAMED],
        more=f"and {more:,} more in {file}" if more > 0 else "",
    )

"""How methods did, class by class too, and which images were left out."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from infaug.experiment.answer import Interval, accuracy_interval
from infaug.experiment.summary import judged_by_method, statistics
from infaug.experiment.verdict import Comparison, best_random, headline_method
from infaug.record.folder import RunFolder
from infaug.report.experiment_data import ExperimentData, Line
from infaug.training.methods import RANDOM, RANDOM_METHODS
from infaug.words import are, plural, were


@dataclass(frozen=True, kw_only=True)
class MethodResult:
    """A line of the table.

    `seeds` are top-1, percent, by seed or, with folds, of the fold that each training
    judged; `std` is None for one of them, `mean` for none. `interval` is over all
    judged images; None without folds, or while trainings are missing.
    """

    method: str
    seeds: Mapping[int, float]
    mean: float | None
    std: float | None
    interval: Interval | None
    loss: float | None
    """Mean over seeds, nats."""
    is_part: bool
    """Whether `base_random` is the better of this method and another."""


def results_section(experiment: ExperimentData) -> Mapping[str, Any]:
    """The table, accuracy by class, and the paired differences."""
    lines = method_results(experiment)
    if not lines:
        raise ValueError("which methods are run is not resolved yet")
    found = experiment.found
    tuned = found.get("base_tuned", {}).items()
    chosen = [f"{r['base']} (seed {seed})" for seed, r in tuned if "base" in r]
    answer = (experiment.result or {}).get("answer") or {}
    return {
        "experiment": experiment,
        "answer": answer.get("members", ()),
        "lines": lines,
        "seeds": range(experiment.config.seeds),
        "gaps": experiment.summary["gap_closed"],
        "has_random": any(line.is_part for line in lines),
        "chosen": ", ".join(chosen),
        "by_class": by_class(experiment),
        # Over judged images once the experiment is finished.
        "differences": [
            Comparison.from_dict(each) for each in experiment.summary["comparisons"]
        ],
        "headline": headline_method(
            [name for name, records in found.items() if records]
        ),
    }


def method_results(experiment: ExperimentData) -> list[MethodResult]:
    """Every method, best first; both that `base_random` is made of come after it."""
    judged = {}
    if experiment.is_finished:
        judged = judged_by_method(RunFolder(experiment.path), experiment.config)
    intervals = {
        name: accuracy_interval(each.hit, judged) for name, each in judged.items()
    }
    records: dict[str, Mapping[int, Line]] = {}
    if set(experiment.methods) & set(RANDOM_METHODS):
        records[RANDOM] = best_random(experiment.found)
    records |= {name: experiment.found.get(name, {}) for name in experiment.methods}
    made = {
        name: _method_result(name, found, intervals.get(name))
        for name, found in records.items()
    }

    def place(line: MethodResult) -> tuple[bool, float, bool]:
        head = made[RANDOM] if line.is_part else line
        return head.mean is None, -(head.mean or 0.0), line.is_part

    return sorted(made.values(), key=place)


def _method_result(
    method: str, found: Mapping[int, Line], interval: Interval | None
) -> MethodResult:
    values = {seed: result["test_top1"] for seed, result in found.items()}
    numbers = statistics(list(values.values())) if values else {}
    losses = [r["test_loss"] for r in found.values() if "test_loss" in r]
    return MethodResult(
        method=method,
        seeds=values,
        mean=numbers.get("mean"),
        std=numbers.get("std"),
        interval=interval,
        loss=fmean(losses) if losses else None,
        is_part=method in RANDOM_METHODS,
    )


MAX_CLASSES = 12  # more columns than that nobody reads


@dataclass(frozen=True, kw_only=True)
class ByClass:
    """Top-1 of classes, percent, means over finished trainings."""

    classes: tuple[str, ...]
    num_left_out: int
    """Classes that do better than these on average over methods."""
    methods: Mapping[str, tuple[float | None, ...]]
    """None where no training judged an image of the class."""


def by_class(experiment: ExperimentData) -> ByClass | None:
    """The classes that do worst, by method; None before a training has judged any."""
    found = {
        method: means
        for method, results in experiment.found.items()
        if (means := _means(results.values()))
    }
    if not found:
        return None
    names = [str(name) for name in experiment.images["classes"]]

    def over_methods(at: int) -> float:
        mean = _mean([means[at] for means in found.values()])
        return 100.0 if mean is None else mean

    shown = sorted(sorted(range(len(names)), key=over_methods)[:MAX_CLASSES])
    return ByClass(
        classes=tuple(names[at] for at in shown),
        num_left_out=len(names) - len(shown),
        methods={
            method: tuple(means[at] for at in shown) for method, means in found.items()
        },
    )


def _means(results: Iterable[Line]) -> list[float | None]:
    """Of each class over trainings."""
    known = [each["test_by_class"] for each in results if "test_by_class" in each]
    return [_mean(column) for column in zip(*known, strict=True)]


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


MAX_NAMED = 10


def left_out(experiment: ExperimentData) -> list[tuple[str, list[str]]]:
    """What was skipped, changed or found in two splits: why, and the first by name."""
    unreadable = _lines(experiment, "unreadable.txt")
    num = len(unreadable)
    skipped = f"{plural(num, 'image')} could not be read and {were(num)} skipped."
    changed = _lines(experiment, "images.txt")
    duplicates, why = _duplicates(experiment)
    every = (
        (skipped, unreadable, "unreadable.txt"),
        ("What was chosen and changed on reading:", changed, "images.txt"),
        (why, duplicates, "duplicates.jsonl"),
    )
    found = []
    for reason, lines, file in every:
        named, more = lines[:MAX_NAMED], len(lines) - MAX_NAMED
        if more > 0:
            named.append(f"and {more:,} more in {file}")
        if named:
            found.append((reason, named))
    return found


def _duplicates(experiment: ExperimentData) -> tuple[list[str], str]:
    """By name: seeds divide the images anew and so have many of them in common."""
    found: dict[str, Line] = {}
    for each in map(json.loads, _lines(experiment, "duplicates.jsonl")):
        found.setdefault(each["name"], each)
    num, is_kept = len(found), experiment.config.data.drop_duplicates is False
    done = "kept in both (drop-duplicates is off)" if is_kept else "left out of one"
    reason = (
        f"{plural(num, 'image')} {are(num)}, pixel by pixel, in two splits of a seed, "
        f"and {were(num)} {done}."
    )
    where = "in" if is_kept else "left out of"
    lines = [
        f"{name}, {where} {each['split']}: the same as {each['twin']} ({each['held']})"
        for name, each in found.items()
    ]
    return lines, reason


def _lines(experiment: ExperimentData, name: str) -> list[str]:
    path = experiment.path / name
    return path.read_text().splitlines() if path.exists() else []

"""Every method on every problem, against the best policy that learns nothing.

That policy is chosen by accuracy on the selection split, never on test: a reference
picked by its test accuracy would be the luckiest of many. Differences are paired by
seed, on test, with 95 % intervals (Student's t).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

from infaug.experiment.table_plan import Column, Record, Results
from infaug.experiment.verdict import (
    MARGIN,
    MIN_SEEDS,
    Comparison,
    compare_paired,
    half_width,
)
from infaug.training.methods import METHODS

# better, worse: the interval lies on one side of zero. no gain: it ends below `MARGIN`.
WORDS = ("reference", "better", "no gain", "worse", "undecided", "not run")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A method on a problem; None where there are too few seeds to say.

    Attributes:
        method: its name.
        missing: seeds that are not finished.
        tops: top-1 on test, percent, by seed.
        selection: mean top-1 on selection, percent.
        low: end of the 95 % interval of the mean of `tops`.
        high: the other end.
        against: paired difference to the reference, in points.
        cpu_seconds: training seconds times threads, all seeds.
        gpu_seconds: training seconds on a GPU, all seeds.
        images: drawn in them, in however many views.
        verdict: one of `WORDS`.
    """

    method: str
    missing: tuple[int, ...]
    tops: Mapping[int, float]
    selection: float | None
    low: float | None
    high: float | None
    against: Comparison | None
    cpu_seconds: float | None
    gpu_seconds: float | None
    images: int | None
    verdict: str

    @property
    def top1(self) -> float | None:
        """Mean top-1 on test, percent."""
        return mean(self.tops.values()) if self.tops else None


@dataclass(frozen=True, kw_only=True)
class Board:
    """All methods on one problem, best first; `reference` is the best fixed policy."""

    problem: str
    reference: str | None
    entries: tuple[Entry, ...]


def board(
    column: Column, methods: Sequence[str], seeds: int, results: Results
) -> Board:
    """What is finished of a problem.

    The reference is chosen among fixed policies with every seed; without one there are
    no differences.
    """
    found = {
        method: results.by_seed(method, column.config, seeds) for method in methods
    }
    reference = best_policy({
        method: list(records.values())
        for method, records in found.items()
        if len(records) == seeds
    })  # fmt: skip
    tops = {
        method: {seed: record["test_top1"] for seed, record in records.items()}
        for method, records in found.items()
    }
    entries = []
    for method in methods:
        against = None
        if reference is not None and method != reference:
            against = compare_paired(method, reference, tops)
        missing = tuple(seed for seed in range(seeds) if seed not in tops[method])
        records = list(found[method].values())
        entry = _entry(method, records, tops[method], missing, against)
        is_reference = method == reference
        entries.append(replace(entry, verdict="reference") if is_reference else entry)
    ranked = sorted(entries, key=lambda e: (e.top1 is None, -(e.top1 or 0.0)))
    return Board(problem=column.title, reference=reference, entries=tuple(ranked))


def is_fixed(method: str) -> bool:
    """Whether a method is a fixed policy: it learns nothing and asks for no labels.

    >>> [is_fixed(name) for name in ("mixup", "uniform_policy")]
    [True, True]
    >>> [is_fixed(name) for name in ("base_learned", "policy_learned", "late")]
    [False, False, False]
    """
    found = METHODS[method]
    learns = found.uses_generator or found.has_learned_view or found.is_reweighted
    return not (learns or found.is_pooled or found.is_late or found.is_oracle)


def best_policy(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str | None:
    """Of the fixed policies the one that is best on selection, on the mean over seeds.

    Of equal ones that of less loss there. None if there is no fixed policy.
    """

    def merit(method: str) -> tuple[float, float]:
        records = found[method]
        losses = [record.get("selection_loss", 0.0) for record in records]
        return mean(record["selection_top1"] for record in records), -mean(losses)

    return max(filter(is_fixed, found), key=merit, default=None)


def _entry(
    method: str,
    records: Sequence[Record],
    tops: Mapping[int, float],
    missing: tuple[int, ...],
    against: Comparison | None,
) -> Entry:
    half = half_width(list(tops.values()))
    is_known = math.isfinite(half)
    images = [r["images"] for r in records if r.get("images") is not None]
    return Entry(
        method=method,
        missing=missing,
        tops=tops,
        selection=mean(r["selection_top1"] for r in records) if records else None,
        low=mean(tops.values()) - half if is_known else None,
        high=mean(tops.values()) + half if is_known else None,
        against=against,
        cpu_seconds=_seconds(records, "cpu"),
        gpu_seconds=_seconds(records, "cuda"),
        images=sum(images) if images and len(images) == len(records) else None,
        verdict=_verdict(against, bool(records)),
    )


def _verdict(against: Comparison | None, has_run: bool) -> str:
    if not has_run:
        return "not run"
    if against is None or against.num_seeds < MIN_SEEDS:
        return "undecided"
    if against.low > 0:
        return "better"
    if against.high < 0:
        return "worse"
    return "no gain" if against.high < MARGIN else "undecided"


def _seconds(records: Any, device: str) -> float | None:
    """What was spent on a kind of device; older results do not say where."""
    spent = [
        record["seconds"] * (record["threads"] if device == "cpu" else 1)
        for record in records
        if record.get("device") == device
    ]
    return round(sum(spent), 1) if spent else None

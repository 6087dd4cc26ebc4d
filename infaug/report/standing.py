"""Where the rows of a run stand, seed by seed, as far as they are finished."""

from collections.abc import Mapping
from dataclasses import dataclass

from infaug.experiment.summary import gap_closed, statistics
from infaug.experiment.verdict import best_random, headline_method, with_best_random
from infaug.report.facts import Facts, Line
from infaug.training.rows import RANDOM, RANDOM_ROWS


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
        is_part = name in RANDOM_ROWS
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

"""Where the rows of a run stand, seed by seed, as far as they are finished."""

from collections.abc import Mapping
from dataclasses import dataclass

from infaug.experiment.summary import gap_closed, statistics, with_best_random
from infaug.experiment.verdict import CONTROLS_OF, Comparison, compare, controls_of
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
    best = _best_random(facts.found)
    for name in facts.row_names:
        is_part = name in RANDOM_ROWS
        if is_part and RANDOM not in [line.row for line in lines]:
            lines.append(_standing(RANDOM, best))
        lines.append(_standing(name, facts.found.get(name, {}), is_part=is_part))
    return lines


def tops(facts: Facts) -> dict[str, dict[int, float]]:
    """Top-1 on test by row and seed, of rows with a finished cell; percent."""
    rows = {k: v for k, v in facts.found.items() if k not in RANDOM_ROWS}
    rows[RANDOM] = _best_random(facts.found)
    return {
        row: {seed: found["test_top1"] for seed, found in results.items()}
        for row, results in rows.items()
        if results
    }


def differences(facts: Facts) -> list[Comparison]:
    """Each learned row against each of its controls, over seeds that both have."""
    found, made = tops(facts), []
    for row in [name for name in CONTROLS_OF if name in found]:
        for control in controls_of(row, found):
            both = sorted(set(found[row]) & set(found[control]))
            if both:
                pair = {n: [found[n][seed] for seed in both] for n in (row, control)}
                made.append(compare(row, control, pair))
    return made


def gaps(facts: Facts) -> dict[str, float]:
    """Percent of the way from `base` to `oracle`; see `comparison.summary`."""
    means = {row: list(seeds.values()) for row, seeds in tops(facts).items()}
    return gap_closed(means)


def speaking_row(facts: Facts) -> str | None:
    """The learned row that the verdict is about; None if none is finished."""
    return next((row for row in CONTROLS_OF if facts.found.get(row)), None)


def not_run(facts: Facts) -> list[str]:
    """Controls of the speaking row that the run neither has nor will have."""
    row = speaking_row(facts)
    if row is None:
        return []
    have = set(facts.row_names)
    if have & set(RANDOM_ROWS):
        have.add(RANDOM)
    return [name for name in CONTROLS_OF[row] if name not in have]


def _best_random(found: Mapping[str, Mapping[int, Line]]) -> dict[int, Line]:
    """The better row of random tau on selection, for seeds that have all of them."""
    rows = [row for row in RANDOM_ROWS if row in found]
    if not rows:
        return {}
    both = sorted(set.intersection(*(set(found[row]) for row in rows)))
    if not both:
        return {}
    pairs = {row: [found[row][seed] for seed in both] for row in rows}
    return dict(zip(both, with_best_random(pairs)[RANDOM], strict=True))


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

"""Did the learned augmentation help? Paired differences, and a sentence.

Each learned row is compared with every control that was run, seed by seed, and with
every other method, also if that learns otherwise. A gain must hold against each of
them, so no correction for the number of controls is needed.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from infaug.training.rows import RIVALS
from infaug.words import plural

ENOUGH_SEEDS = 3
CONFIDENCE = 0.95

# What each learned row must beat, besides `RIVALS`; of the learned rows that were run
# the first speaks for the run: a rival that learns only where it is the only one.
CONTROLS_OF = {
    "pooled_learned": ("none", "base", "base_random", "pooled", "base_tuned"),
    "base_learned": ("none", "base", "base_random", "base_tuned"),
    "trivial_learned": ("none", "base", "base_random", "base_tuned", "trivial"),
    "mixup_learned": ("none", "base", "base_random", "base_tuned", "mixup"),
    "learned": ("none",),
    "bilevel_learned": ("none", "base", "base_random", "base_tuned"),
}


def controls_of(row: str, run: Collection[str]) -> list[str]:
    """The controls of a learned row among the rows that were run.

    >>> controls_of("learned", ["none", "base", "learned", "mixup"])
    ['none', 'mixup']
    """
    named = dict.fromkeys((*CONTROLS_OF[row], *RIVALS))
    return [name for name in named if name in run and name != row]


@dataclass(frozen=True)
class Comparison:
    """Paired difference of two rows over seeds, in points of accuracy.

    `low` and `high` bound the mean difference with 95 % confidence (Student's t over
    seeds); they are infinite for fewer than two seeds.
    """

    row: str
    control: str
    difference: float
    low: float
    high: float
    num_seeds: int


def compare(row: str, control: str, rows: Mapping[str, Sequence[float]]) -> Comparison:
    """`row` minus `control`, paired by seed.

    >>> c = compare("a", "b", {"a": [3.0, 4.0, 5.0], "b": [2.0, 2.0, 2.0]})
    >>> c.difference, round(c.low, 2), round(c.high, 2)
    (2.0, -0.48, 4.48)
    """
    differences = np.subtract(rows[row], rows[control])
    mean, half = float(differences.mean()), half_width(differences)
    return Comparison(row, control, mean, mean - half, mean + half, len(differences))


def half_width(values: Sequence[float] | np.ndarray) -> float:
    """Half of the 95 % interval of a mean (Student's t); infinite below two values."""
    if len(values) < 2:
        return math.inf
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error


def comparisons(rows: Mapping[str, Sequence[float]]) -> list[Comparison]:
    """Every learned row that was run against every control that was run."""
    return [
        compare(row, control, rows)
        for row in CONTROLS_OF
        if row in rows
        for control in controls_of(row, rows)
    ]


def verdict(
    rows: Mapping[str, Sequence[float]],
    given_up: Mapping[str, Sequence[int]] | None = None,
) -> str:
    """One sentence that begins with gain, no gain or undecided.

    `given_up` holds, by row, the seeds whose learned view was given up during training
    (see `infaug.training.review`); where that is all of them the answer is no gain.

    gain: the interval lies above zero against every control that was run. no gain: some
    control was at least as good on average. undecided: anything else, and always with
    fewer than three seeds or without controls. What was not run is named.

    >>> verdict({"base_learned": [90.0]})[:9]
    'undecided'
    """
    row = next((name for name in CONTROLS_OF if name in rows), None)
    if row is None:
        return "undecided: no learned row was run"
    made = [c for c in comparisons(rows) if c.row == row]
    seeds_given_up = (given_up or {}).get(row, ())
    if len(seeds_given_up) == len(rows[row]):
        word = "no gain" if len(rows[row]) >= ENOUGH_SEEDS else "undecided"
        return (
            f"{word}: keep the base augmentation; the learned view of {row} was given "
            "up on every seed, as selection images suffered from it"
        )
    lacking = _lacking(row, rows)
    if not made:
        return f"undecided: {row} was compared with nothing ({lacking})"
    closest = min(made, key=lambda c: c.difference)
    if closest.num_seeds < ENOUGH_SEEDS:
        word = "undecided"
    elif all(c.low > 0 for c in made):
        word = "gain"
    else:
        word = "no gain" if closest.difference <= 0 else "undecided"
    interval = f"{closest.low:+.2f} to {closest.high:+.2f}"
    if math.isinf(closest.low):
        interval = "unknown"
    seeds = plural(closest.num_seeds, "seed")
    sentence = (
        f"{word}: {row} is {closest.difference:+.2f} points against its closest "
        f"control {closest.control} (95 % paired interval {interval}, {seeds})"
    )
    if seeds_given_up:
        listed = ", ".join(str(seed) for seed in seeds_given_up)
        sentence += f"; the learned view was given up on seed {listed}"
    return f"{sentence}; {lacking}" if lacking else sentence


def _lacking(row: str, rows: Mapping[str, Sequence[float]]) -> str:
    controls = [name for name in CONTROLS_OF[row] if name not in rows]
    seeds = len(rows[row])
    named = ", ".join(f"`{name}`" for name in controls)  # `none` is the name of one
    parts = [f"controls not run: {named}"] if controls else []
    if seeds < ENOUGH_SEEDS:
        more = ENOUGH_SEEDS - seeds
        parts.append(f"at least {more} more {'seed' if more == 1 else 'seeds'} needed")
    return "; ".join(parts)

"""What came of a run whose cells are all finished: rows, choices, verdict, seconds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from infaug.config import RunConfig
from infaug.experiment.tuning import TRIAL
from infaug.experiment.verdict import ENOUGH_SEEDS, comparisons, verdict
from infaug.record.folder import RunFolder
from infaug.training.rows import GENERATOR, RANDOM, RANDOM_ROWS, rows_of

FAR = 1.3  # times chance
LEAST_GAP = 3.0  # points; the share of a smaller gap would be noise


def summarise(folder: RunFolder, config: RunConfig) -> dict[str, Any]:
    """Rows, verdict and seconds of a folder whose cells are all finished.

    `rows` maps each row to the mean, standard deviation (None for one seed) and values
    of its top-1 accuracy on test, percent, by seed. `base_random` is, for each seed,
    the better of random tau through the initial and the final G on the selection split.
    `generators`, if G was fitted adversarially, is how far each seed's flows reach.
    `tuned` lists, by seed, what `base_tuned` chose from; `gap_closed` see there.
    `seconds` sums the timings by phase; work that a crash made run twice counts twice.
    """
    seeds = range(config.seeds)
    found = {
        row.name: [folder.found(row.name, seed) for seed in seeds]
        for row in rows_of(config)
    }
    chosen = with_best_random(found)
    tops = {
        name: [result["test_top1"] for result in results]
        for name, results in chosen.items()
    }
    given_up = {
        name: [r["seed"] for r in results if r.get("strength") == 0]
        for name, results in chosen.items()
    }
    return {
        "unit": "percent",
        "rows": {name: statistics(values) for name, values in tops.items()},
        "verdict": verdict(tops, given_up)
        + _warning(tops, folder.num_classes)
        + _seen(folder.seen_with()),
        "seconds": _seconds(folder),
        "comparisons": [_finite(asdict(c)) for c in comparisons(tops)],
        "tuned": [_choice(result) for result in found.get("base_tuned", [])],
        "gap_closed": gap_closed(tops),
        "generators": _generators(folder, config),
    }


def _warning(tops: Mapping[str, Sequence[float]], num_classes: int) -> str:
    """What is to be known of a verdict on networks that have not learned to classify.

    >>> _warning({"base": [33.0, 41.0], "base_learned": [30.0, 36.0]}, 3)[:28]
    '; no row is far above chance'
    >>> _warning({"base": [88.0]}, 3)
    ''
    """
    chance = 100 / num_classes
    if max(float(np.mean(values)) for values in tops.values()) > FAR * chance:
        return ""
    return (
        f"; no row is far above chance ({chance:.0f} %): F learned too little to judge "
        "by, give it more rounds or steps"
    )


def _seen(counts: Sequence[int]) -> str:
    """What is to be known of seeds that were added after a look at the result.

    Whoever adds seeds until an interval pleases finds gains by chance: the interval is
    that of a number of seeds settled beforehand. Too few could not have pleased.

    >>> _seen([1, 3, 5])
    '; seeds were added after a look at 3 and at 5, so the interval is too narrow'
    """
    looks = [f"at {count}" for count in counts if count >= ENOUGH_SEEDS]
    if not looks:
        return ""
    return (
        f"; seeds were added after a look {' and '.join(looks)}, so the interval is "
        "too narrow"
    )


def _generators(folder: RunFolder, config: RunConfig) -> list[dict[str, Any]]:
    """How far each seed's flows reach; empty if G is not fitted, or no row uses it."""
    if config.adversarial.fit == "none":
        return []
    if not any(row.uses_generator for row in rows_of(config)):
        return []
    return [folder.found(GENERATOR.name, seed) for seed in range(config.seeds)]


def with_best_random(
    found: Mapping[str, Sequence[dict[str, Any]]],
) -> dict[str, Sequence[dict[str, Any]]]:
    """Results by row and seed, the two rows of random tau replaced by `base_random`.

    Where G stays as it is there is only one of them.
    """
    both = [row for row in RANDOM_ROWS if row in found]
    chosen: dict[str, Sequence[dict[str, Any]]] = {}
    for name, results in found.items():
        if name not in RANDOM_ROWS:
            chosen[name] = results
        elif RANDOM not in chosen:
            pairs = zip(*(found[row] for row in both), strict=True)
            chosen[RANDOM] = [
                max(pair, key=lambda result: result["selection_top1"]) for pair in pairs
            ]
    return chosen


def statistics(values: Sequence[float]) -> dict[str, Any]:
    """Mean, standard deviation (None for one value) and the values."""
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "std": spread, "seeds": list(values)}


def gap_closed(rows: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """How far each row goes from `base` to `oracle`, percent of the way, by the means.

    Empty if one of the two was not run or they are less than 3 points apart.

    >>> gap_closed({"base": [70.0], "oracle": [90.0], "pooled": [85.0]})
    {'pooled': 75.0}
    """
    if not {"base", "oracle"} <= set(rows):
        return {}
    base, oracle = np.mean(rows["base"]), np.mean(rows["oracle"])
    if oracle - base < LEAST_GAP:
        return {}
    return {
        name: float(100 * (np.mean(values) - base) / (oracle - base))
        for name, values in rows.items()
        if name not in ("none", "base", "oracle")
    }


def _choice(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: result[name] for name in ("seed", "base", "candidates")}


def _seconds(folder: RunFolder) -> dict[str, float]:
    """By phase; what choosing for `base_tuned` took stands apart."""
    seconds: dict[str, float] = {}
    for line in folder.lines("timings.jsonl"):
        phase = "tuning" if line["row"].startswith(TRIAL) else line["phase"]
        seconds[phase] = seconds.get(phase, 0.0) + line["seconds"]
    seconds["total"] = sum(seconds.values())
    return {phase: round(spent, 3) for phase, spent in seconds.items()}


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity: an unknown bound is null."""
    bad = (math.inf, -math.inf)
    return {k: None if v in bad else v for k, v in values.items()}

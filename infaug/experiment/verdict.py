"""Did the learned augmentation help? The answer as data; `infaug.report` words it.

Each learned method is compared with every control that was run, seed by seed, and with
every rival. A gain must hold against each of them, so no correction for the number of
controls is needed.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from scipy import stats

from infaug.training.methods import RANDOM, RANDOM_METHODS, RIVALS

MIN_SEEDS = 3
CONFIDENCE = 0.95
MARGIN = 0.5  # points; "no gain" rules out that as much was gained

Word = Literal["gain", "no gain", "undecided", "none"]
Record = dict[str, Any]

# What each learned method must beat, besides `RIVALS`; the first that was run is the
# headline method. All of them reach the labels that `pooled` trains on.
_OF_POLICIES = (
    "base", "base_tuned", "uniform_policy", "uniform_alone", "pooled", "pooled_even",
    "pooled_uniform",
)  # fmt: skip
_OF_VIEWS = ("none", "base", "base_random", "pooled", "base_tuned")
CONTROLS_OF = {
    "pooled_policy": _OF_POLICIES,
    "policy_learned": _OF_POLICIES,
    "policy_alone": _OF_POLICIES,
    "pooled_policy_alone": _OF_POLICIES,
    "pooled_learned": _OF_VIEWS,
    "base_learned": _OF_VIEWS,
    "trivial_learned": (*_OF_VIEWS, "trivial"),
    "mixup_learned": (*_OF_VIEWS, "mixup"),
    "late_learned": (*_OF_VIEWS, "late"),
    "learned": ("none", "pooled"),
    "bilevel_learned": _OF_VIEWS,
}


def controls_of(method: str, run: Collection[str]) -> list[str]:
    """The controls of a learned method among the methods that were run.

    >>> controls_of("learned", ["none", "base", "learned", "mixup"])
    ['none', 'mixup']
    """
    named = dict.fromkeys((*CONTROLS_OF[method], *RIVALS))
    return [name for name in named if name in run and name != method]


def headline_method(run: Collection[str]) -> str | None:
    """The learned method that the verdict is about, of those that were run."""
    return next((name for name in CONTROLS_OF if name in run), None)


def best_random(found: Mapping[str, Mapping[int, Record]]) -> dict[int, Record]:
    """The random-tau control: by seed, the better of the methods of random tau.

    Better is less loss on selection images; of equal losses the stronger one counts.
    Seeds that one of them lacks are left out.
    """
    each = [found[name] for name in RANDOM_METHODS if name in found]
    seeds = sorted(set.intersection(*map(set, each))) if each else []
    return {seed: min((r[seed] for r in each), key=_weakness) for seed in seeds}


def _weakness(record: Record) -> tuple[float, float, float]:
    loss = record.get("selection_loss", math.inf)
    return loss, -record.get("selection_top1", 0.0), -record["test_top1"]


def with_best_random(
    found: Mapping[str, Mapping[int, Record]],
) -> dict[str, Mapping[int, Record]]:
    """Records by method and seed, both methods of random tau replaced by the better."""
    chosen: dict[str, Mapping[int, Record]] = {}
    for name, records in found.items():
        if name not in RANDOM_METHODS:
            chosen[name] = records
        elif RANDOM not in chosen:
            chosen[RANDOM] = best_random(found)
    return chosen


@dataclass(frozen=True)
class Comparison:
    """Paired difference of two methods over seeds, in points of accuracy.

    `low` and `high` bound the mean difference with 95 % confidence (Student's t over
    seeds); they are infinite for fewer than two seeds.
    """

    method: str
    control: str
    difference: float
    low: float
    high: float
    num_seeds: int

    def to_dict(self) -> Record:
        """For JSON, which has no infinity: an unknown bound is null."""
        values = asdict(self)
        return {k: None if v in (-math.inf, math.inf) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Comparison":
        """As `to_dict` made it."""
        known = {name: value for name, value in values.items() if value is not None}
        return cls(**{"low": -math.inf, "high": math.inf, **known})


def compare(
    method: str, control: str, tops: Mapping[str, Sequence[float]]
) -> Comparison:
    """`method` minus `control`, paired by seed.

    >>> c = compare("a", "b", {"a": [3.0, 4.0, 5.0], "b": [2.0, 2.0, 2.0]})
    >>> c.difference, round(c.low, 2), round(c.high, 2)
    (2.0, -0.48, 4.48)
    """
    differences = np.subtract(tops[method], tops[control])
    mean, half = float(differences.mean()), half_width(differences)
    low, high = mean - half, mean + half
    return Comparison(method, control, mean, low, high, len(differences))


def half_width(values: Sequence[float] | np.ndarray) -> float:
    """Half of the 95 % interval of a mean (Student's t); infinite below two values."""
    if len(values) < 2:
        return math.inf
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error


Compare = Callable[[str, str, Mapping[str, Sequence[float]]], Comparison]
Tops = Mapping[str, Mapping[int, float]]  # top-1 on test, percent, by method and seed


def tops_of(found: Mapping[str, Mapping[int, Record]]) -> dict[str, dict[int, float]]:
    """Top-1 of methods that have a finished training, `base_random` among them."""
    return {
        name: {seed: record["test_top1"] for seed, record in records.items()}
        for name, records in with_best_random(found).items()
        if records
    }


def given_up_in(found: Mapping[str, Mapping[int, Record]]) -> dict[str, list[int]]:
    """By method, the seeds whose learned view was given up during training."""
    return {
        name: [seed for seed, record in records.items() if record.get("strength") == 0]
        for name, records in found.items()
    }


def compare_paired(
    method: str, control: str, tops: Tops, compare: Compare = compare
) -> Comparison | None:
    """Two methods over the seeds that both have; None if there are none."""
    both = sorted(set(tops[method]) & set(tops[control]))
    pair = {name: [tops[name][seed] for seed in both] for name in (method, control)}
    return compare(method, control, pair) if both else None


def comparisons(tops: Tops, compare: Compare = compare) -> list[Comparison]:
    """Every learned method against each of its controls, over seeds that both have."""
    return [
        made
        for method in CONTROLS_OF
        if method in tops
        for control in controls_of(method, tops)
        if (made := compare_paired(method, control, tops, compare))
    ]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether the learned augmentation helped.

    gain: the interval lies above zero against every control that was run. no gain: its
    upper bound against the closest control is below `MARGIN`, or the learned view was
    given up on every seed. none: no learned method was run. undecided: anything else,
    and always with fewer than `MIN_SEEDS` seeds or without controls.
    """

    word: Word
    method: str | None
    """The headline method; None where no learned method was run."""
    closest: str | None = None
    """The control that it is least ahead of; None where no control was run."""
    difference: float | None = None
    """Points of accuracy that it is ahead of `closest`."""
    low: float | None = None
    """End of the 95 % interval of `difference`; None for one seed."""
    high: float | None = None
    num_seeds: int = 0
    missing: tuple[str, ...] = ()
    """Controls that were not run."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What else to know, by kind: `given_up`, seeds whose learned view was given up in
    training; `looks`, numbers of seeds after which somebody had looked at the result;
    `chance`, percent, where no method is far above it."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"missing": list(self.missing)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Verdict":
        """As `to_dict` made it."""
        return cls(**{**values, "missing": tuple(values["missing"])})


def verdict(
    tops: Tops,
    given_up: Mapping[str, Sequence[int]] | None = None,
    notes: Mapping[str, Any] | None = None,
    compare: Compare = compare,
) -> Verdict:
    """The verdict on the headline method.

    Args:
        tops: see `tops_of`.
        given_up: see `given_up_in` and `infaug.training.review`.
        notes: see `Verdict.notes`.
        compare: two methods; see `compare`.

    >>> verdict({"base_learned": {0: 90.0}}).word
    'undecided'
    """
    method = headline_method(tops)
    if method is None:
        return Verdict(word="none", method=None, notes=notes or {})
    seeds = list((given_up or {}).get(method, ()))
    notes = {**({"given_up": seeds} if seeds else {}), **(notes or {})}
    missing = tuple(name for name in CONTROLS_OF[method] if name not in tops)
    made = [c for c in comparisons(tops, compare) if c.method == method]
    is_given_up = len(seeds) == len(tops[method])
    if not made:
        num_seeds = len(tops[method])
        is_sure = is_given_up and num_seeds >= MIN_SEEDS
        return Verdict(
            word="no gain" if is_sure else "undecided",
            method=method, num_seeds=num_seeds, missing=missing, notes=notes,
        )  # fmt: skip
    closest = min(made, key=lambda c: c.difference)
    is_known = math.isfinite(closest.low)
    return Verdict(
        word=_word(made, closest, is_given_up=is_given_up),
        method=method,
        closest=closest.control,
        difference=closest.difference,
        low=closest.low if is_known else None,
        high=closest.high if is_known else None,
        num_seeds=closest.num_seeds,
        missing=missing,
        notes=notes,
    )


def _word(
    made: Sequence[Comparison], closest: Comparison, *, is_given_up: bool
) -> Word:
    if min(c.num_seeds for c in made) < MIN_SEEDS:
        return "undecided"
    if is_given_up:
        return "no gain"
    if all(c.low > 0 for c in made):
        return "gain"
    return "no gain" if closest.high < MARGIN else "undecided"

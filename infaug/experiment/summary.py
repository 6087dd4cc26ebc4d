"""What came of an experiment whose trainings are all finished."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from infaug.config import RunConfig
from infaug.experiment.answer import Answer, answer, difference
from infaug.experiment.finished import data_of
from infaug.experiment.methods import methods_of
from infaug.experiment.out_of_fold import OutOfFold, choose, out_of_fold
from infaug.experiment.trainings import TRIAL
from infaug.experiment.verdict import (
    MIN_SEEDS,
    Compare,
    Comparison,
    Record,
    compare,
    comparisons,
    controls_of,
    given_up_in,
    headline_method,
    tops_of,
    verdict,
)
from infaug.record.folder import RunFolder
from infaug.training.methods import GENERATOR, RANDOM, RANDOM_METHODS

FAR = 1.3  # times chance
MIN_GAP = 3.0  # points; the share of a smaller gap would be noise


def summarise(folder: RunFolder, config: RunConfig) -> dict[str, Any]:
    """Methods, verdict and seconds of a folder whose trainings are all finished.

    `methods` maps each method to the mean, standard deviation (None for one seed) and
    values of its top-1 accuracy on test, percent, by seed. `base_random` is, for each
    seed, the better of random tau through the initial and the final G on the selection
    split. `verdict` is `Verdict.to_dict`. `generators`, if G was fitted adversarially,
    is how far each seed's flows reach. `tuned` lists, by seed, what `base_tuned` chose
    from; `gap_closed` and, where folds were judged, `answer` see there. `seconds` sums
    the timings by phase; work that a crash made run twice counts twice.
    """
    seeds = range(config.seeds)
    found = {
        method.name: {seed: folder.found(method.name, seed) for seed in seeds}
        for method in methods_of(config)
    }
    judged = judged_by_method(folder, config)
    notes = _near_chance(found, len(data_of(folder)["classes"])) | _looks(
        folder.seen_with()
    )
    made = judge(found, notes, comparison_of(judged))
    return {
        "unit": "percent",
        "methods": made["methods"],
        "verdict": made["verdict"],
        "seconds": _seconds(folder),
        "comparisons": made["comparisons"],
        "tuned": [
            {name: record[name] for name in ("seed", "base", "candidates")}
            for record in found.get("base_tuned", {}).values()
        ],
        "gap_closed": made["gap_closed"],
        "generators": [
            fit for s in seeds if (fit := folder.training_result(GENERATOR.name, s))
        ],
        **({"answer": _answer(judged, config).to_dict()} if judged else {}),
    }


def judge(
    found: Mapping[str, Mapping[int, Record]],
    notes: Mapping[str, Any] | None = None,
    compare: Compare = compare,
) -> dict[str, Any]:
    """Methods, verdict, comparisons, gap of finished trainings, as a result has them.

    Args:
        found: by method and seed; not all need to be there.
        notes: see `Verdict.notes`.
        compare: two methods.
    """
    tops = tops_of(found)
    values = {name: list(by_seed.values()) for name, by_seed in tops.items()}
    return {
        "methods": {name: statistics(each) for name, each in values.items()},
        "verdict": verdict(tops, given_up_in(found), notes, compare).to_dict(),
        "comparisons": [c.to_dict() for c in comparisons(tops, compare)],
        "gap_closed": gap_closed(values),
    }


def judged_by_method(folder: RunFolder, config: RunConfig) -> dict[str, OutOfFold]:
    """What each method says of images that it did not see; empty without folds.

    The oracle is left out, which trains on images that nobody has.
    """
    folds = config.data.folds
    if not folds:
        return {}
    return {
        method.name: out_of_fold(folder, method.name, folds, config.seeds)
        for method in methods_of(config)
        if not method.is_oracle
    }


def chosen_methods(folder: RunFolder, config: RunConfig) -> tuple[str, ...]:
    """The methods whose F are handed over."""
    return choose(judged_by_method(folder, config), config.members)


def comparison_of(judged: Mapping[str, OutOfFold]) -> Compare:
    """How methods are compared: over the images of folds, or else over seeds."""

    def of_control(name: str) -> OutOfFold:
        parts = RANDOM_METHODS if name == RANDOM else (name,)
        return min(
            (judged[n] for n in parts if n in judged), key=lambda each: each.loss
        )

    def over_images(
        method: str, control: str, tops: Mapping[str, Sequence[float]]
    ) -> Comparison:
        made = difference(judged[method], of_control(control))
        num = len(tops[method])
        return Comparison(method, control, made.value, made.low, made.high, num)

    return over_images if judged else compare


def _answer(judged: Mapping[str, OutOfFold], config: RunConfig) -> Answer:
    headline = headline_method(judged)
    controls = controls_of(headline, judged) if headline else []
    return answer(judged, headline, controls, config.members)


def _near_chance(
    found: Mapping[str, Mapping[int, Record]], num_classes: int
) -> dict[str, float]:
    """A note on networks that have not learned to classify.

    >>> _near_chance({"base": {0: {"test_top1": 33.0}, 1: {"test_top1": 41.0}}}, 4)
    {}
    >>> _near_chance({"base": {0: {"test_top1": 28.0}}}, 4)
    {'chance': 25.0}
    """
    chance = 100 / num_classes
    tops = (list(by_seed.values()) for by_seed in tops_of(found).values())
    is_far = max(float(np.mean(values)) for values in tops) > FAR * chance
    return {} if is_far else {"chance": chance}


def _looks(counts: Sequence[int]) -> dict[str, list[int]]:
    """A note on seeds that were added after a look at the result.

    Whoever adds seeds until an interval pleases finds gains by chance: the interval is
    that of a number of seeds chosen beforehand. Too few could not have pleased.

    >>> _looks([1, 3, 5])
    {'looks': [3, 5]}
    """
    looks = [count for count in counts if count >= MIN_SEEDS]
    return {"looks": looks} if looks else {}


def statistics(values: Sequence[float]) -> dict[str, Any]:
    """Mean, standard deviation (None for one value) and the values."""
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "std": spread, "seeds": list(values)}


def gap_closed(tops: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """How far each method goes from `base` to `oracle`, by the means, percent.

    Empty if one of the two was not run or they are less than 3 points apart.

    >>> gap_closed({"base": [70.0], "oracle": [90.0], "pooled": [85.0]})
    {'pooled': 75.0}
    """
    if not {"base", "oracle"} <= set(tops):
        return {}
    base, oracle = np.mean(tops["base"]), np.mean(tops["oracle"])
    if oracle - base < MIN_GAP:
        return {}
    return {
        name: float(100 * (np.mean(values) - base) / (oracle - base))
        for name, values in tops.items()
        if name not in ("none", "base", "oracle")
    }


def _seconds(folder: RunFolder) -> dict[str, float]:
    """By phase; what choosing for `base_tuned` took stands apart."""
    seconds: dict[str, float] = {}
    for line in folder.lines("timings.jsonl"):
        phase = "tuning" if line["method"].startswith(TRIAL) else line["phase"]
        seconds[phase] = seconds.get(phase, 0.0) + line["seconds"]
    seconds["total"] = sum(seconds.values())
    return {phase: round(spent, 3) for phase, spent in seconds.items()}

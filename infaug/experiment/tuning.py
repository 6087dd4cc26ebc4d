"""The method `base_tuned`: every candidate is tried, the best one is trained in full.

Candidates are trainings of their own, trained as `base` is but for part of its steps,
so that they resume like all others. They never see test images.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from infaug.augment.base import joined
from infaug.config import RunConfig
from infaug.training.methods import Method

TRIAL = "tuning-"


def candidates_for(base: str) -> tuple[str, ...]:
    """What `base_tuned` chooses from, where the config names nothing.

    For `affine`: rotation up to 20, 40 or 60 degrees, and the middle one followed by
    RandAugment, TrivialAugment, changes of light, blur or inversion. For others: the
    base alone, and followed by rotations and by the same.
    """
    others = ["randaugment:9", "trivial", "jitter:0.5", "blur:1.5", "invert:0.5"]
    if base == "affine":
        grid = [f"affine:{degrees}x1" for degrees in (20, 40, 60)]
        return (*grid, *(joined("affine:40", part) for part in others))
    parts = ["affine:20", "affine:40", *others]
    return (base, *(parts if base == "none" else [joined(base, p) for p in parts]))


def trial_method(candidate: str) -> Method:
    """The method under which a candidate is tried: `base`, with a name of its own."""
    name = TRIAL + candidate.replace(":", "").replace("+", "-")
    return Method(name=name, views=("base", "base"), is_trial=True)


def trial_config(config: RunConfig, candidate: str) -> RunConfig:
    """The candidate as base, and the first part of the steps on a whole cosine."""
    rounds = config.rounds
    steps = round(config.tuning.fraction * rounds.rounds * rounds.classifier_steps)
    short = replace(
        rounds,
        base=candidate,
        rounds=1,
        classifier_steps=max(steps, 1),
        refresh="sync",  # Nothing is refreshed, and no lag has to fit in.
    )
    return replace(config, rounds=short)


def tuned_config(config: RunConfig, candidate: str) -> RunConfig:
    """The chosen candidate as base, for all the steps."""
    return replace(config, rounds=replace(config.rounds, base=candidate))


def choose(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The candidate with the best accuracy on selection; of equal ones the least loss.

    >>> results = {"a": (90, 0.5), "b": (95, 0.4), "c": (95, 0.3)}
    >>> choose({k: {"selection_top1": a, "selection_loss": l}
    ...         for k, (a, l) in results.items()})
    'c'
    """

    def merit(candidate: str) -> tuple[float, float]:
        result = found[candidate]
        return result["selection_top1"], -result["selection_loss"]

    return max(found, key=merit)

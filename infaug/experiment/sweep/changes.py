"""What a sweep may change: any `part.field` of a config, and three things beside.

The first trial has the settings that the sweep begins with.

mode            the papers' settings by name; other changes win over it
refresh_steps   steps of F from one refresh of s_val to the next; F's and E's steps in
                all stay as they are, so that trials can be compared step by step
field_strength  factor on how strong G's fields may be: flow and colours alike
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import torch

from infaug.config import Mode, RunConfig, changed, in_mode, require, value_at
from infaug.experiment.sweep.space import Between, Choice, Distribution, Space
from infaug.randomness import generator
from infaug.training.methods import METHODS, Method

DEFAULT = "t00"  # the first trial
CONTROL = "control"  # one whose F drives the others, see `plan.Sweep.control`
STRENGTHS = ("matrix", "offset", "filter", "bias")

# Part of the networks, the images or the schedule: they stay while a trial trains.
FIXED = (
    "mode", "refresh_steps", "transform.tau_size", "policy.operations",
    "policy.num_strengths",
)  # fmt: skip
FIXED_PARTS = ("data", "rounds", "adversarial", "classifier")

# What is tried where nothing else is said: of methods with E and G, and of policies.
DEFAULT_SPACE: dict[str, Distribution] = {
    "estimator.learning_rate": Between(1e-4, 3e-3, log=True),
    "influence.damping": Between(1e-3, 0.1, log=True),
    "influence.max_products": Choice((10, 30, 200)),
    "transform.tau_size": Choice((16, 64, 128)),
    "estimator.tau_dropout": Between(0.0, 0.5),
    "field_strength": Between(0.3, 1.2),
    "estimator.probability": Between(0.3, 1.0),
}
POLICY_SPACE: dict[str, Distribution] = {
    "policy.learning_rate": Between(0.5, 10.0, log=True),
    "policy.shrinkage": Between(2.0, 32.0, log=True),
    "policy.decay": Between(0.001, 0.03, log=True),
    "policy.min_entropy": Between(0.1, 0.7),
    "policy.num_draws": Choice((1, 2, 3)),
    "policy.num_strengths": Choice((5, 9, 15)),
    "influence.damping": Between(1e-3, 0.1, log=True),
}


def learned_method(name: str) -> Method:
    """A method that a sweep can be about.

    Raises:
        ValueError: if nothing is learned in it.
    """
    learned = [each for each in METHODS.values() if each.has_learned_view]
    rule = f"must be one of {', '.join(each.name for each in learned)}"
    require(name in (each.name for each in learned), "sweep.method", rule, name)
    return METHODS[name]


def space_for(method: str) -> Space:
    """What is tried with a method where nothing else is said."""
    return DEFAULT_SPACE if learned_method(method).is_learned else POLICY_SPACE


def apply(config: RunConfig, changes: Mapping[str, Any]) -> RunConfig:
    """The config with changes by name.

    Raises:
        ValueError: if one of them is no setting, or is refused.
    """
    plain = dict(changes)
    if (mode := plain.pop("mode", None)) is not None:
        names = get_args(Mode)
        require(mode in names, "mode", f"must be one of {', '.join(names)}", mode)
        config = in_mode(config, mode)
    if (steps := plain.pop("refresh_steps", None)) is not None:
        config = _refreshed_every(config, steps)
    if (factor := plain.pop("field_strength", None)) is not None:
        transform = config.transform
        fields = (f"{name}_strength" for name in STRENGTHS)
        stronger = {name: factor * getattr(transform, name) for name in fields}
        config = replace(config, transform=replace(transform, **stronger))
    return changed(config, plain)


def values_of(config: RunConfig, space: Space) -> dict[str, Any]:
    """What a config has for each setting of a space."""
    special = {
        "mode": config.mode,
        "refresh_steps": config.rounds.classifier_steps,
        "field_strength": 1.0,
    }
    return {
        name: special[name] if name in special else value_at(config, name)
        for name in space
    }


def names(count: int) -> list[str]:
    """The trials of a sweep.

    >>> names(3)
    ['t00', 't01', 't02']
    """
    return [f"t{number:02d}" for number in range(count)]


def propose(name: str, space: Space, config: RunConfig, seed: int) -> dict[str, Any]:
    """What a trial of a random search changes: a function of its name and the seed.

    So a sweep that is continued, or asked for more trials, proposes the same again.
    """
    if name in (DEFAULT, CONTROL):
        return values_of(config, space)
    drawn = {
        path: float(torch.rand((), generator=generator(seed, "sweep", name, path)))
        for path in space
    }
    return {path: space[path].at(share) for path, share in drawn.items()}


def check_space(space: Space, config: RunConfig) -> None:
    """Try out the ends of every distribution.

    Raises:
        ValueError: for a setting that there is not or a value that is refused, and for
            what may not be chosen by a sweep.
    """
    if not space:
        raise ValueError("the search space is empty: name a setting with --space")
    for name, distribution in space.items():
        if name.startswith("data."):
            raise ValueError(f"--space {name}: a sweep does not choose its own images")
        if name == "mode" and config.mode != "online":
            raise ValueError("--space mode: begin with --preset online")
        for value in distribution.ends:
            apply(config, {name: value})


def may_move(name: str) -> bool:
    """Whether a setting can change while a trial trains."""
    return name not in FIXED and name.partition(".")[0] not in FIXED_PARTS


def _refreshed_every(config: RunConfig, steps: int) -> RunConfig:
    rounds = config.rounds
    total = rounds.rounds * rounds.classifier_steps
    if total % steps:
        raise ValueError(
            f"refresh_steps must divide the {total} steps of F "
            f"(rounds.rounds x rounds.classifier_steps), got {steps}"
        )
    of_e = round(rounds.estimator_steps * steps / rounds.classifier_steps)
    overlaps = rounds.refresh == "overlap"
    lag = min(rounds.refresh_lag, steps) if overlaps else rounds.refresh_lag
    return replace(
        config,
        rounds=replace(
            rounds,
            rounds=total // steps,
            classifier_steps=steps,
            estimator_steps=max(of_e, 1),
            refresh_lag=lag,
        ),
    )

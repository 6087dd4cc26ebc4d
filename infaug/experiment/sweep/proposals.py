"""Settings that a sweep tries, by the names of its trials."""

from typing import Any

import torch

from infaug.config import RunConfig
from infaug.experiment.sweep.changes import values_of
from infaug.experiment.sweep.space import Space
from infaug.randomness import generator

DEFAULT = "t00"


def names(count: int) -> list[str]:
    """The trials of a sweep, the first with the settings that the sweep begins with.

    >>> names(3)
    ['t00', 't01', 't02']
    """
    return [f"t{number:02d}" for number in range(count)]


def propose(name: str, space: Space, config: RunConfig, seed: int) -> dict[str, Any]:
    """What a trial of a random search changes: a function of its name and the seed.

    So a sweep that is continued, or asked for more trials, proposes the same again.
    """
    if name == DEFAULT:
        return values_of(config, space)
    draws = {
        path: float(torch.rand((), generator=generator(seed, "sweep", name, path)))
        for path in space
    }
    return {path: space[path].at(share) for path, share in draws.items()}

"""What a run on digits, on this machine's CPU, makes of a config."""

import torch
from tiny import CONFIG

from infaug.config import RunConfig
from infaug.data.problem import Splits
from infaug.experiment.plan import resolve_config
from infaug.training.methods import METHODS
from infaug.training.state import Training
from infaug.world import World

CPU = torch.device("cpu")


def resolved(config: RunConfig) -> RunConfig:
    """With its `auto` values resolved."""
    return resolve_config(config, (1, 16, 16), CPU)


def training_of(
    method: str, splits: Splits, config: RunConfig = CONFIG, **more
) -> Training:
    """A training of seed 0 that has not begun."""
    return Training(METHODS[method], 0, splits, resolved(config), World(), CPU, **more)

"""A config with its `auto` values settled for digits on this machine's CPU."""

import torch

from infaug.config import RunConfig
from infaug.experiment.plan import settle


def settled(config: RunConfig) -> RunConfig:
    """What a run on digits would settle."""
    return settle(config, (1, 16, 16), torch.device("cpu"))

"""A config with its `auto` values settled for digits on this machine's CPU."""

import torch

from infaug.comparison.plan import settle
from infaug.config import RunConfig


def settled(config: RunConfig) -> RunConfig:
    """What a run on digits would settle."""
    return settle(config, (1, 16, 16), torch.device("cpu"))

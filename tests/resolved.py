"""A config with its `auto` values resolved for digits on this machine's CPU."""

import torch

from infaug.config import RunConfig
from infaug.experiment.plan import resolve_config


def resolved(config: RunConfig) -> RunConfig:
    """What a run on digits would resolve."""
    return resolve_config(config, (1, 16, 16), torch.device("cpu"))

"""The alternation of F, s_val and E."""

from dataclasses import dataclass
from typing import Literal

from infaug.config.check import require

Base = Literal["auto", "none", "affine", "crop_flip", "resized_crop_flip"]


@dataclass(frozen=True, kw_only=True)
class RoundsConfig:
    """The alternation of F, s_val and E."""

    rounds: int = 15
    """Times round; s_val is refreshed once in each."""
    classifier_steps: int = 100
    """Steps of F in each round."""
    estimator_steps: int = 40
    """Steps of E in each round, after s_val is refreshed."""
    s_val: Literal["each_round", "once"] = "each_round"
    """`each_round`: F, s_val and E take turns. `once`: s_val is that of the F which the
    row's control ended with (`base` for `base_learned`); E takes all its steps against
    it; then a fresh F trains with the learned view."""
    base: Base = "auto"
    """`auto`: affine for grey, crop_flip up to 64 px colour, else resized_crop_flip."""
    log_every_steps: int = 20
    """Steps between lines of metrics.jsonl."""
    checkpoint_every_steps: int = 200
    """Steps between checkpoints inside a phase; every phase ends with one."""

    def __post_init__(self):
        for name in ("rounds", "classifier_steps", "estimator_steps"):
            value = getattr(self, name)
            require(value >= 1, f"rounds.{name}", "must be >= 1", value)
        for name in ("log_every_steps", "checkpoint_every_steps"):
            value = getattr(self, name)
            require(value >= 1, f"rounds.{name}", "must be >= 1", value)

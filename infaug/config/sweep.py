"""How settings are searched for."""

from dataclasses import dataclass
from typing import Literal

from infaug.config.check import require

Objective = Literal["loss", "top1"]


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """How settings are searched for: always on the selection split."""

    trials: int = 24
    """Settings that are tried; the first ones are those the sweep begins with."""
    row: Literal["base_learned", "pooled_learned"] = "base_learned"
    """What is trained in each trial."""
    seed: int = 0
    """Of the splits and the training of all trials, and of what is proposed."""
    objective: Objective = "loss"
    """On the selection split: its loss (nats, least is best) or its top-1 accuracy."""
    searcher: Literal["random", "optuna"] = "random"
    """Proposes settings: drawn independently, or by Optuna's TPE (pip install
    'infaug[optuna]')."""
    scheduler: Literal["asha", "pbt", "none"] = "asha"
    """asha: stops trials that lag behind others at the same step; pbt: they take over a
    better one's weights, with settings near its own; none: all are trained in full."""
    grace: float = 0.25
    """Share of F's steps before a trial may be stopped, and between two exchanges."""
    reduction: float = 3.0
    """asha: one in so many goes on at each milestone, and milestones lie so many times
    further apart."""

    def __post_init__(self):
        require(self.trials >= 1, "sweep.trials", "must be >= 1", self.trials)
        share = self.grace
        require(0 < share <= 1, "sweep.grace", "must lie in (0, 1]", share)
        factor = self.reduction
        require(factor > 1, "sweep.reduction", "must be > 1", factor)
        together = self.scheduler == "pbt" and self.searcher == "optuna"
        require(
            not together,
            "sweep.searcher",
            "must be random with pbt, which changes settings itself",
            self.searcher,
        )

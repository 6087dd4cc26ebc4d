"""Everything that decides the numbers of a run."""

from dataclasses import dataclass, field
from typing import Literal

from infaug.config.adversarial import AdversarialConfig
from infaug.config.backoff import BackoffConfig
from infaug.config.bilevel import BilevelConfig
from infaug.config.check import require
from infaug.config.classifier import ClassifierConfig
from infaug.config.data import DataConfig
from infaug.config.estimator import EstimatorConfig
from infaug.config.influence import InfluenceConfig
from infaug.config.policy import PolicyConfig
from infaug.config.rounds import RoundsConfig
from infaug.config.transform import TransformConfig
from infaug.config.tuning import TuningConfig

Controls = Literal["auto", "full", "quick", "none"]
Mode = Literal["online", "iclr", "cvpr"]


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides the numbers of a run."""

    mode: Mode = "online"
    """The set of values this config began with; --mode sets them, and other flags win:
    online, iclr (2019 submission) or cvpr (2020), see `config.modes`."""
    data: DataConfig = field(default_factory=DataConfig)
    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
    influence: InfluenceConfig = field(default_factory=InfluenceConfig)
    transform: TransformConfig = field(default_factory=TransformConfig)
    adversarial: AdversarialConfig = field(default_factory=AdversarialConfig)
    estimator: EstimatorConfig = field(default_factory=EstimatorConfig)
    bilevel: BilevelConfig = field(default_factory=BilevelConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    backoff: BackoffConfig = field(default_factory=BackoffConfig)
    rounds: RoundsConfig = field(default_factory=RoundsConfig)
    tuning: TuningConfig = field(default_factory=TuningConfig)
    controls: Controls = "auto"
    """Rows run beside the learned ones: all (full), the closest (quick), or none.
    `auto`: full if a few timed steps say that it takes under half an hour, else quick.
    """
    rows: tuple[str, ...] = ()
    """Names of the rows to run, whatever `controls` says."""
    seeds: int = 3
    """Paired repetitions: seeds 0 .. seeds - 1, the same for every row."""

    def __post_init__(self):
        require(self.seeds >= 1, "seeds", "must be >= 1", self.seeds)
        groups = self.classifier.batch_groups
        for part in ("adversarial", "estimator"):
            size = getattr(self, part).batch_size
            require(
                size % groups == 0,
                f"{part}.batch_size",
                f"must be a multiple of classifier.batch_groups ({groups})",
                size,
            )
        decay, damping = self.classifier.weight_decay, self.influence.damping
        require(
            damping >= decay,
            "influence.damping",
            f"must be >= classifier.weight_decay ({decay}), which the head is "
            "trained with",
            damping,
        )

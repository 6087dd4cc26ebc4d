"""Everything that decides the numbers of a run, and the papers' values of it."""

from dataclasses import dataclass, field, replace
from typing import Literal

from infaug.config.classifier import ClassifierConfig
from infaug.config.data import DataConfig
from infaug.config.estimator import BackoffConfig, BilevelConfig, EstimatorConfig
from infaug.config.fields import require, within
from infaug.config.influence import InfluenceConfig
from infaug.config.policy import PolicyConfig
from infaug.config.rounds import RoundsConfig, TuningConfig
from infaug.config.transform import AdversarialConfig, Fit, TransformConfig

Controls = Literal["auto", "full", "quick", "none"]
Mode = Literal["online", "iclr", "cvpr"]


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides the numbers of a run."""

    mode: Mode = "online"
    """The preset this config began with; --preset sets its values, and other flags win:
    online, iclr (2019 submission) or cvpr (2020), see `in_mode`."""
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
    """Methods run beside the learned ones: all (full), the closest (quick), or none.
    `auto`: full if a few timed steps say that it takes under half an hour, else quick.
    """
    methods: tuple[str, ...] = ()
    """Names of the methods to run, whatever `controls` says."""
    minutes: float = 20.0
    """What an experiment with folds may take on this machine where no methods are
    named: as many methods are run as fit, the strongest controls first."""
    members: int = 6
    """Methods whose F an experiment with folds hands over as one, averaged, at most:
    the best out of fold, and those that are hardly worse. 1: the best alone, which
    classifies in a sixth of the time and is most often a little worse."""
    seeds: int = 3
    """Paired repetitions: seeds 0 .. seeds - 1, the same for every method."""

    threads: int = 0
    """Threads of each training on a CPU, part of what decides its last digits; 0: one
    for small networks and frozen ones, which gain little from another, else all."""

    def __post_init__(self):
        within(self, "", minutes="> 0", threads=">= 0", seeds=">= 1", members=">= 1")
        groups = self.classifier.batch_groups
        rule = f"must be a multiple of classifier.batch_groups ({groups})"
        for part in ("adversarial", "estimator"):
            size = getattr(self, part).batch_size
            require(size % groups == 0, f"{part}.batch_size", rule, size)
        decay, damping = self.classifier.weight_decay, self.influence.damping
        rule = f"must be >= classifier.weight_decay ({decay}), which the head has"
        require(damping >= decay, "influence.damping", rule, damping)

    def placed_as(self, other: "RunConfig") -> "RunConfig":
        """The config with images that lie where the other's do."""
        mine, its = self.data, other.data
        if (mine.target_source is None) != (its.target_source is None):
            return self
        data = replace(mine, source=its.source, target_source=its.target_source)
        return replace(self, data=data)


_FIT: dict[Mode, Fit] = {"online": "none", "iclr": "wgan_gp", "cvpr": "ragan"}


def in_mode(config: RunConfig, mode: Mode) -> RunConfig:
    """`config` with the values of a mode; what a mode leaves open stays.

    online: G is not fitted adversarially; G and E learn together; s_val each round.
    iclr: G is fitted against critics on images and flows, then frozen; s_val once.
    cvpr: G is fitted against critics on images and features, then learns with E; s_val
    once; tau dropout 0.5. Both papers: local fields, the raw influence, no penalty on
    fields and no noise on tau; Adam 0.01 (0.9, 0.99) and batches of 128 for E and, on
    grey images, F (the plan resolves its rate); random crops as the base of these; a
    fresh F with base and learned views.

    Differs from the papers, and why:
    - E's and F's rates follow a cosine: at a constant 0.01 the last steps decide.
    - ResNets have Nesterov momentum, and the cosine in place of steps of a tenth, which
      `--classifier.schedule steps` gives: short trainings have no room for three.
    - Critics and G: batches of 32 for 128, 1e-3 for 1e-4 in critics, an average of G's
      weights and a start at `start_share` of the real flows' covariance. The papers do
      not say how many updates theirs took; with these, 300 are enough.
    - Flows are bounded (`transform.flow_bound`): a flow that folds has no inverse, and
      exports move keypoints and boxes by it.
    - G's rate while E learns (cvpr) is not known to us: 1e-4.
    """
    config = replace(
        config, mode=mode, adversarial=replace(config.adversarial, fit=_FIT[mode])
    )
    if mode == "online":
        return config
    is_cvpr = mode == "cvpr"
    return replace(
        config,
        classifier=replace(config.classifier, batch_size=128, betas=(0.9, 0.99)),
        transform=replace(config.transform, pooling="local"),
        influence=replace(config.influence, objective="raw"),
        estimator=replace(
            config.estimator,
            batch_size=128,
            learning_rate=0.01,
            generator_learning_rate=1e-4 if is_cvpr else 0.0,
            field_penalty=0.0,
            tau_noise=0.0,
            tau_dropout=0.5 if is_cvpr else 0.0,
        ),
        rounds=replace(config.rounds, s_val="once"),
    )

"""Every setting of a run: frozen dataclasses, checked on construction.

`auto` values are settled by `comparison.plan` once the data has been seen; the run
folder holds the settled config. Nothing heavy is imported: the command line reads these
to print its help.
"""

from infaug.config.adversarial import AdversarialConfig, AffineRanges
from infaug.config.backoff import BackoffConfig
from infaug.config.bilevel import BilevelConfig
from infaug.config.changed import changed, value_at
from infaug.config.check import require
from infaug.config.classifier import ClassifierConfig, Network, ViewLoss
from infaug.config.data import DataConfig, ShiftConfig, SplitName
from infaug.config.dictionary import difference, from_dict, to_dict
from infaug.config.estimator import EstimatorConfig
from infaug.config.export import ExportConfig, ExportFormat, ExportSeed
from infaug.config.git import GitConfig
from infaug.config.influence import InfluenceConfig, Solver
from infaug.config.modes import in_mode
from infaug.config.nuisance import NuisanceConfig
from infaug.config.policy import PolicyConfig
from infaug.config.prepare import Downloadable, PrepareConfig
from infaug.config.rounds import RoundsConfig
from infaug.config.run import Controls, Mode, RunConfig
from infaug.config.sweep import Objective, SweepConfig
from infaug.config.tail import TailConfig
from infaug.config.transform import TransformConfig
from infaug.config.tuning import TuningConfig

__all__ = [
    "AdversarialConfig",
    "AffineRanges",
    "BackoffConfig",
    "BilevelConfig",
    "ClassifierConfig",
    "Controls",
    "DataConfig",
    "Downloadable",
    "EstimatorConfig",
    "ExportConfig",
    "ExportFormat",
    "ExportSeed",
    "GitConfig",
    "InfluenceConfig",
    "Mode",
    "Network",
    "NuisanceConfig",
    "Objective",
    "PolicyConfig",
    "PrepareConfig",
    "RoundsConfig",
    "RunConfig",
    "ShiftConfig",
    "Solver",
    "SplitName",
    "SweepConfig",
    "TailConfig",
    "TransformConfig",
    "TuningConfig",
    "ViewLoss",
    "changed",
    "difference",
    "from_dict",
    "in_mode",
    "require",
    "to_dict",
    "value_at",
]

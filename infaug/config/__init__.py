"""Every setting of a run: frozen dataclasses, checked on construction.

`auto` values are settled by `comparison.plan` once the data has been seen; the run
folder holds the settled config. Nothing heavy is imported: the command line reads these
to print its help.
"""

from infaug.config.check import require
from infaug.config.classifier import ClassifierConfig, Network
from infaug.config.data import DataConfig, ShiftConfig, SplitName
from infaug.config.dictionary import difference, from_dict, to_dict
from infaug.config.estimator import EstimatorConfig
from infaug.config.influence import InfluenceConfig, Solver
from infaug.config.rounds import Base, RoundsConfig
from infaug.config.run import Controls, RunConfig
from infaug.config.transform import TransformConfig

__all__ = [
    "Base",
    "ClassifierConfig",
    "Controls",
    "DataConfig",
    "EstimatorConfig",
    "InfluenceConfig",
    "Network",
    "RoundsConfig",
    "RunConfig",
    "ShiftConfig",
    "Solver",
    "SplitName",
    "TransformConfig",
    "difference",
    "from_dict",
    "require",
    "to_dict",
]

"""Every setting of a run: frozen dataclasses, checked on construction.

`auto` values are resolved by `experiment.plan` once the data has been seen; the run
folder holds the resolved config. Nothing heavy is imported: the command line reads
these to print its help.
"""

from infaug.config.classifier import (
    NETWORK_VARIABLE,
    ClassifierConfig,
    Freeze,
    Network,
    ViewLoss,
)
from infaug.config.commands import (
    Downloadable,
    ExportConfig,
    ExportFormat,
    ExportSeed,
    Objective,
    PrepareConfig,
    SweepConfig,
)
from infaug.config.data import (
    DataConfig,
    NuisanceConfig,
    ShiftConfig,
    SplitName,
    TailConfig,
)
from infaug.config.estimator import BackoffConfig, BilevelConfig, EstimatorConfig
from infaug.config.fields import (
    changed,
    difference,
    from_dict,
    leaves,
    require,
    to_dict,
    value_at,
)
from infaug.config.influence import InfluenceConfig, Solver
from infaug.config.policy import PolicyConfig
from infaug.config.rounds import RoundsConfig, TuningConfig
from infaug.config.run import Controls, Mode, RunConfig, in_mode
from infaug.config.transform import AdversarialConfig, AffineRanges, TransformConfig

"""A run that takes seconds: every phase, few steps, digits."""

from dataclasses import replace

from infaug.config import (
    ClassifierConfig,
    DataConfig,
    EstimatorConfig,
    RoundsConfig,
    RunConfig,
    ShiftConfig,
    TransformConfig,
)

CONFIG = RunConfig(
    data=DataConfig(
        source="digits", labels=60, target=60, shift=ShiftConfig(rotate_deg=40)
    ),
    classifier=ClassifierConfig(batch_size=8, batch_groups=2, precision="float32"),
    transform=TransformConfig(tau_size=8),
    estimator=EstimatorConfig(batch_size=8),
    rounds=RoundsConfig(
        rounds=2,
        classifier_steps=6,
        estimator_steps=4,
        log_every_steps=2,
        checkpoint_every_steps=3,
    ),
    seeds=1,
)


def tiny(**changes) -> RunConfig:
    """The tiny config with some top-level fields replaced."""
    return replace(CONFIG, **changes)

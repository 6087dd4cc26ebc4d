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
    in_mode,
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


def tiny_in_mode(mode: str, **adversarial) -> RunConfig:
    """The tiny config in the mode of a paper, with a G that is fitted."""
    config = in_mode(tiny(controls="none"), mode)
    return replace(
        config,
        adversarial=replace(config.adversarial, batch_size=8, **adversarial),
        estimator=replace(config.estimator, batch_size=8),
        classifier=CONFIG.classifier,
    )

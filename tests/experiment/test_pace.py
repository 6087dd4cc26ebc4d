"""How long a run takes is counted from a few real steps."""

from dataclasses import replace

import torch
from resolved import resolved
from tiny import CONFIG

from infaug.config import AdversarialConfig, ClassifierConfig, EstimatorConfig
from infaug.data.problem import divide
from infaug.data.source import load
from infaug.experiment import pace as pace_module
from infaug.experiment.pace import Pace, estimated_seconds, sizes_of

SLOW = Pace(base_step=20.0, learned_step=40.0, estimator_step=20.0, image=1e-3)


def test_the_estimate_counts_every_step_of_every_training():
    config = resolved(replace(CONFIG, methods=("base", "learned"), seeds=2))
    sizes = sizes_of(load(config.data), config)
    pace = Pace(base_step=1.0, learned_step=100.0, estimator_step=1e4, image=0.0)
    # Two rounds of six steps of F; E learns after the first, for four steps.
    assert estimated_seconds(config, sizes, pace) == 2 * (12 + 1200 + 4e4)
    assert estimated_seconds(config, sizes, pace, at_once=2) == 12 + 1200 + 4e4
    config = replace(config, methods=("bilevel_learned", "reweighted"))
    pace = replace(pace, lookahead_step=1e5)
    assert estimated_seconds(config, sizes, pace) == 2 * (1200 + 4e5 + 12)


def test_what_folds_train_at_last_is_counted():
    """One of the two methods or both, as their average: at most both."""
    data = replace(CONFIG.data, folds=2)
    config = resolved(replace(CONFIG, data=data, methods=("base", "learned"), seeds=2))
    sizes = sizes_of(load(config.data), config)
    pace = Pace(base_step=1.0, learned_step=100.0, estimator_step=1e4, image=0.0)
    whole = 12 + 1200 + 4e4
    assert estimated_seconds(config, sizes, pace) == 2 * whole + whole
    assert estimated_seconds(config, sizes, pace, at_once=2) == whole + whole / 2


def test_what_frozen_layers_make_of_views_is_counted_once():
    """Whatever the number of trainings: they share it."""
    config = resolved(replace(CONFIG, methods=("base", "pooled"), seeds=3))
    sizes = sizes_of(load(config.data), config)
    pace = replace(SLOW, image=1.0, frozen_step=0.0)
    assessed = config.rounds.rounds * sizes.selection + sizes.test
    draws = config.classifier.frozen_views * sum(vars(sizes).values())
    assert estimated_seconds(config, sizes, pace) == 6 * assessed + draws


def test_real_steps_are_timed():
    config = resolved(CONFIG)
    splits = divide(load(config.data), config.data)
    pace = pace_module.measure(config, splits, torch.device("cpu"))
    assert pace.lookahead_step is None
    assert min(seconds for seconds in vars(pace).values() if seconds is not None) > 0
    named = replace(config, methods=("bilevel_learned",))
    ahead = pace_module.measure(named, splits, torch.device("cpu")).lookahead_step
    assert ahead > 0


def test_of_large_batches_as_much_is_timed_as_32_large_images_have():
    config = resolved(
        replace(
            CONFIG,
            classifier=ClassifierConfig(batch_size=4096, batch_groups=128),
            estimator=EstimatorConfig(batch_size=256),
            adversarial=AdversarialConfig(batch_size=128),
        )
    )
    few = pace_module._with_few_images(config, 100)
    assert (few.classifier.batch_size, few.classifier.batch_groups) == (96, 3)
    assert few.estimator.batch_size == 99
    fewest = pace_module._with_few_images(config, 20)
    assert (fewest.classifier.batch_size, fewest.classifier.batch_groups) == (20, 1)
    whole = pace_module._with_few_images(config, 5000).classifier
    assert (whole.batch_size, whole.batch_groups) == (4096, 128)


def test_steps_of_few_images_stand_for_those_of_all(monkeypatch):
    config = resolved(replace(CONFIG, methods=("base_learned",)))
    splits = divide(load(config.data), config.data)
    monkeypatch.setattr(pace_module, "_seconds_a_step", lambda _: 1.0)
    monkeypatch.setattr(pace_module, "TIMED_PIXELS", 4 * 16 * 16)
    pace = pace_module.measure(config, splits, torch.device("cpu"))
    assert pace.base_step == config.classifier.batch_size / 4

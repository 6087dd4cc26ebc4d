"""Distributions, what they are called, and what they may change."""

import pytest
from tiny import CONFIG

from infaug.config import RunConfig, in_mode, value_at
from infaug.experiment.sweep.changes import (
    DEFAULT_SPACE,
    apply,
    check_space,
    propose,
    values_of,
)
from infaug.experiment.sweep.space import Between, Choice, parse_space

TEXTS = ("0.3..1", "log:0.001..0.1", "int:1..4", "log:int:4..64", "1,2,3", "a,b,null")


@pytest.mark.parametrize("text", TEXTS)
def test_a_distribution_reads_as_it_is_written_and_draws_what_it_holds(text):
    (distribution,) = parse_space([f"x={text}"]).values()
    assert str(distribution) == text
    for share in (0.0, 0.2, 0.5, 0.999):
        value = distribution.at(share)
        assert value in distribution
        assert 0 <= distribution.place(value) <= 1
        assert isinstance(value, int) or "int" not in text


@pytest.mark.parametrize("word", ["x", "x=2..1", "x=log:0..1", "x=cube:1..2", "x=7"])
def test_a_word_that_is_no_distribution_is_refused_by_name(word):
    with pytest.raises(ValueError, match="space"):
        parse_space([word])


def test_a_refresh_period_leaves_the_steps_of_f_and_e_as_they_were():
    config = RunConfig()  # 15 rounds of 100 and 40
    often = apply(config, {"refresh_steps": 50}).rounds
    assert (often.rounds, often.classifier_steps, often.estimator_steps) == (30, 50, 20)
    with pytest.raises(ValueError, match="must divide the 1500 steps"):
        apply(config, {"refresh_steps": 70})


def test_field_strength_scales_all_fields_and_mode_gives_way_to_other_changes():
    halved = apply(RunConfig(), {"field_strength": 0.5}).transform
    assert (halved.matrix_strength, halved.offset_strength) == (0.4, 0.125)
    assert (halved.filter_strength, halved.bias_strength) == (0.375, 0.3)
    config = apply(RunConfig(), {"estimator.tau_dropout": 0.1, "mode": "cvpr"})
    assert config.estimator.tau_dropout == 0.1
    assert config.estimator.learning_rate == 0.01


def test_the_first_trial_has_the_settings_that_the_sweep_begins_with():
    space = DEFAULT_SPACE | {"refresh_steps": Choice((50, 100))}
    first = propose("t00", space, CONFIG, 0)
    assert first == values_of(CONFIG, space)
    assert apply(CONFIG, first) == CONFIG


def test_others_are_drawn_by_name_and_seed_alone():
    space = DEFAULT_SPACE
    drawn = propose("t07", space, CONFIG, 0)
    assert drawn == propose("t07", dict(reversed(space.items())), CONFIG, 0)
    assert drawn != propose("t07", space, CONFIG, 1)
    assert all(drawn[name] in space[name] for name in space)
    changed = apply(CONFIG, drawn)
    assert value_at(changed, "influence.damping") == drawn["influence.damping"]


@pytest.mark.parametrize(
    ("space", "why"),
    [
        ({}, "empty"),
        ({"estimator.rate": Between(0, 1)}, "is not a setting"),
        ({"estimator": Between(0, 1)}, "must be of type EstimatorConfig"),
        ({"estimator.tau_dropout": Between(0.0, 1.5)}, "tau_dropout must lie"),
        ({"influence.solver": Choice(("cg", "magic"))}, "must be one of auto, dense"),
        ({"transform.tau_size": Between(8, 16)}, "must be of type int, got 8.0"),
        ({"mode": Choice(("online", "paper"))}, "must be one of online, iclr, cvpr"),
        ({"data.seed": Choice((1, 2))}, "does not choose its own images"),
    ],
)
def test_a_space_is_refused_before_anything_is_trained(space, why):
    with pytest.raises(ValueError, match=why):
        check_space(space, CONFIG)
    check_space({"mode": Choice(("online", "iclr"))}, CONFIG)
    with pytest.raises(ValueError, match="begin with --preset online"):
        check_space({"mode": Choice(("online", "iclr"))}, in_mode(CONFIG, "cvpr"))

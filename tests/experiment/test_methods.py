"""Which methods an experiment trains, and what the presets change."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from infaug.config import (
    ClassifierConfig,
    DataConfig,
    RoundsConfig,
    RunConfig,
    ShiftConfig,
    in_mode,
)
from infaug.experiment.methods import answers_of, methods_of, methods_to_train
from infaug.experiment.plan import resolve_config
from infaug.training.methods import METHODS, POLICY_FROM, RANDOM_METHODS, SIBLINGS

SHIFTED = DataConfig(shift=ShiftConfig(rotate_deg=40))

BOTH = replace(SHIFTED, shift=ShiftConfig(rotate_deg=40, splits=("train", "test")))


def names(config: RunConfig) -> list[str]:
    return [method.name for method in methods_of(config)]


def test_full_controls_tune_the_base_and_have_an_oracle_only_where_use_is_shifted():
    assert "base_tuned" in names(RunConfig(controls="full"))
    assert "oracle" in names(RunConfig(controls="full", data=SHIFTED))
    for data in (DataConfig(), BOTH):
        assert "oracle" not in names(RunConfig(controls="full", data=data))


def test_quick_controls_are_the_closest_ones():
    quick = names(RunConfig(controls="quick", data=SHIFTED))
    assert {"base", "pooled", "base_random_final"} < set(quick)
    assert not {"none", "base_tuned", "oracle"} & set(quick)


@pytest.mark.parametrize("controls", ["full", "quick", "none"])
def test_other_methods_are_run_only_where_they_are_named(controls):
    assert not set(SIBLINGS) & set(names(RunConfig(controls=controls, data=SHIFTED)))


ONCE = replace(RunConfig().rounds, s_val="once")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (RunConfig(controls="none"), ["base_learned", "pooled_learned"]),
        (
            in_mode(RunConfig(controls="none"), "iclr"),
            ["base", "base_learned", "pooled", "pooled_learned"],
        ),
        (
            RunConfig(controls="full", methods=("base_random_final", "none")),
            ["none", "base_learned", "base_random_final"],
        ),
        (
            RunConfig(methods=("trivial_learned", "mixup_learned"), rounds=ONCE),
            ["trivial", "mixup", "trivial_learned", "mixup_learned"],
        ),
        (RunConfig(methods=("pooled_policy",)), [POLICY_FROM, "pooled_policy"]),
    ],
)
def test_what_a_method_needs_is_run_before_it_whatever_the_controls(config, expected):
    assert names(config) == expected


def test_base_random_names_both_of_its_parts():
    named = names(RunConfig(methods=("base", "base_random")))
    # The second takes the G that base_learned leaves.
    assert set(named) == {"base", *RANDOM_METHODS, "base_learned"}


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("bass", "no method 'bass'"),
        ("oracle", "the oracle"),
        ("pooled_head_first", "for pretrained networks.*give --weights"),
    ],
)
def test_methods_that_cannot_be_run_are_refused(method, message):
    with pytest.raises(ValueError, match=message):
        methods_of(RunConfig(methods=(method,)))


def test_no_method_trains_on_the_images_that_drive_its_policy():
    drivers = [method for method in METHODS.values() if method.learns_policy]
    assert drivers
    assert not any(method.is_pooled for method in drivers)


CONFIG = RunConfig(data=DataConfig(labels=60), seeds=2)


def test_online_is_what_nothing_chosen_gives():
    assert in_mode(CONFIG, "online") == CONFIG
    assert RunConfig().mode == "online"


def test_the_papers_modes_are_the_designs_table():
    iclr, cvpr = in_mode(CONFIG, "iclr"), in_mode(CONFIG, "cvpr")
    assert (iclr.adversarial.fit, cvpr.adversarial.fit) == ("wgan_gp", "ragan")
    assert iclr.estimator.generator_learning_rate == 0
    assert cvpr.estimator.generator_learning_rate > 0
    assert (iclr.estimator.tau_dropout, cvpr.estimator.tau_dropout) == (0, 0.5)
    for config in (iclr, cvpr):
        assert config.rounds.s_val == "once"
        assert config.estimator.learning_rate == 0.01
        assert config.estimator.batch_size == config.classifier.batch_size == 128
        assert config.transform.pooling == "local"


@pytest.mark.parametrize("mode", ["online", "iclr", "cvpr"])
def test_a_mode_leaves_everything_else_alone(mode):
    config = in_mode(CONFIG, mode)
    assert (config.data, config.seeds) == (CONFIG.data, 2)
    assert config.classifier.network == CONFIG.classifier.network


@pytest.mark.parametrize(("mode", "base", "rate"), [
    ("online", "affine", 2e-3), ("iclr", "crop", 1e-2)
])  # fmt: skip
def test_on_grey_images_the_papers_crop_and_train_faster(mode, base, rate):
    config = resolve_config(in_mode(CONFIG, mode), (1, 28, 28), torch.device("cpu"))
    assert config.rounds.base == base
    assert config.classifier.learning_rate == rate
    colour = resolve_config(in_mode(CONFIG, mode), (3, 32, 32), torch.device("cpu"))
    assert colour.rounds.base == "crop_flip"


def test_random_tau_through_a_frozen_g_is_run_once():
    assert "base_random_final" not in names(in_mode(RunConfig(controls="full"), "iclr"))
    assert "base_random_final" in names(in_mode(RunConfig(controls="full"), "cvpr"))


@pytest.mark.parametrize("method", ["base_learned", "policy_online", "pooled_policy"])
def test_what_learns_between_rounds_is_refused_where_there_is_one(method):
    config = RunConfig(methods=("base", method), rounds=RoundsConfig(rounds=1))
    with pytest.raises(ValueError, match="--num-rounds 2 or more"):
        methods_to_train(config)
    assert method in names(config), "a finished run of before is still read"
    methods_to_train(replace(config, methods=("base",)))
    named = {name for group in answers_of(config) for name in group}
    assert "pooled" in named
    assert method not in named


@pytest.mark.parametrize(("freeze", "can"), [("early", False), ("none", True)])
def test_statistics_that_are_kept_are_not_adapted(freeze, can):
    classifier = ClassifierConfig(
        network="efficientnet_lite0", weights="default", freeze=freeze
    )
    config = RunConfig(
        methods=("pooled_adapted",),
        classifier=classifier,
        data=DataConfig(target_source="elsewhere"),
    )
    assert (["pooled_adapted", "adapted"] in answers_of(config)) == can
    with nullcontext() if can else pytest.raises(ValueError, match="--freeze early"):
        methods_to_train(config)

import pytest
import torch

from infaug.config import DataConfig, RunConfig, in_mode
from infaug.experiment.methods import methods_of
from infaug.experiment.plan import resolve_config

CONFIG = RunConfig(data=DataConfig(labels=60), seeds=2)


def names(config: RunConfig) -> list[str]:
    return [row.name for row in methods_of(config)]


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


def test_rows_that_others_need_are_run_before_them():
    alone = names(RunConfig(controls="none"))
    assert alone == ["base_learned", "pooled_learned"]
    once = names(in_mode(RunConfig(controls="none"), "iclr"))
    assert once == ["base", "base_learned", "pooled", "pooled_learned"]


def test_random_tau_through_a_frozen_g_is_run_once():
    assert "base_random_final" not in names(in_mode(RunConfig(controls="full"), "iclr"))
    assert "base_random_final" in names(in_mode(RunConfig(controls="full"), "cvpr"))

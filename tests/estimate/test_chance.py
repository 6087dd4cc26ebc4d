import torch

from infaug.augment.learned import Learned
from infaug.config import EstimatorConfig, TransformConfig
from infaug.estimate.learned_transform import build_transform, tau_dropout, tau_noise
from infaug.randomness import Draws


def test_dropout_drops_its_share_and_keeps_the_mean():
    keep = tau_dropout(EstimatorConfig(tau_dropout=0.25), 200, Draws.of_size(500, "a"))
    assert keep is not None
    assert set(keep.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert abs(float((keep == 0).float().mean()) - 0.25) < 0.01
    assert abs(float(keep.mean()) - 1) < 0.01


def test_noise_is_the_same_with_and_without_dropout():
    without, with_ = (
        tau_noise(EstimatorConfig(tau_dropout=p), 8, Draws.of_size(4, "a"))
        for p in (0.0, 0.5)
    )
    assert without.equal(with_)
    assert tau_dropout(EstimatorConfig(), 8, Draws.of_size(4, "a")) is None


def test_use_varies_tau_as_training_does():
    """What F trains on is G at the tau E was trained with, for equal draws."""
    config = EstimatorConfig(tau_dropout=0.5, tau_noise=0.3)
    transform = build_transform(TransformConfig(tau_size=8), 1, 16, 16, 0)
    x, draws = torch.rand(4, 1, 16, 16), Draws.of_size(4, "step")
    keep, noise = tau_dropout(config, 8, draws), tau_noise(config, 8, draws)
    assert keep is not None
    tau = transform.estimator(x) * keep + noise
    expected = transform.render(x, transform.generator.unbounded(tau))
    used = Learned(transform, config)(x, Draws.of_size(4, "step"))
    torch.testing.assert_close(used, expected)

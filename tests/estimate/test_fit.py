from dataclasses import replace

import pytest
import torch
from resolved import training_of
from tiny import CONFIG

from infaug.augment.learned import Learned
from infaug.classify.loss import soft_cross_entropy
from infaug.config import EstimatorConfig, InfluenceConfig, TransformConfig
from infaug.estimate.fit import (
    InfluenceScores,
    build_optimizer,
    fit_estimator,
    influence_of,
)
from infaug.estimate.learned_transform import (
    Estimator,
    build_transform,
    tau_dropout,
    tau_noise,
)
from infaug.influence.features import head_inputs
from infaug.randomness import RandomNumbers
from infaug.training.alternation import classify, refresh
from infaug.training.refresher import Sync
from infaug.training.state import Training
from infaug.world import World


@pytest.fixture(scope="module")
def training(splits) -> Training:
    """A `base_learned` training whose F has trained a little and whose S is fresh."""
    longer = replace(CONFIG.rounds, classifier_steps=80)
    training = training_of("base_learned", splits, replace(CONFIG, rounds=longer))
    list(classify(training, 0, range(80), splits.selection))
    list(refresh(training, 0, range(1), Sync(training, splits.influence)))
    return training


def fit(training: Training, steps: range, s_val: torch.Tensor):
    return list(
        fit_estimator(
            training.transform,
            training.optimizers["transform"],
            InfluenceScores(
                training.classifier, s_val, training.config.influence, "float32"
            ),
            lambda step: training.views.estimator_batch_at(0),
            steps,
            training.config.estimator,
            num_steps=1000,
            precision="float32",
            world=World(),
        )
    )


def test_training_e_lowers_the_predicted_influence_and_moves_nothing_else(training):
    weights = {k: v.clone() for k, v in training.classifier.state_dict().items()}
    s_val = training.s_val.clone()
    done = fit(training, range(20), training.s_val)
    assert done[-1][1]["objective"] < done[0][1]["objective"] < 1
    assert training.s_val.equal(s_val)
    assert all(v.equal(weights[k]) for k, v in training.classifier.state_dict().items())


def test_an_s_that_is_not_finite_is_refused_before_anything_moves(training):
    weights = [p.detach().clone() for p in training.transform.parameters()]
    with pytest.raises(ValueError, match="estimator: the loss is nan"):
        fit(training, range(1), training.s_val * float("nan"))
    after = training.transform.parameters()
    assert all(a.equal(b) for a, b in zip(after, weights, strict=True))


def test_the_raw_objective_is_the_influence_and_the_relative_one_is_bounded(training):
    x, y, _ = training.views.estimator_batch_at(0)
    training.classifier.eval()
    h = training.classifier.features(x)
    h1, probs = head_inputs(training.classifier, x, batch_size=len(x))
    raw = influence_of(
        training.classifier, training.s_val, h, y, InfluenceConfig(objective="raw")
    )
    expected = -torch.einsum("by,yd,bd->b", probs - y, training.s_val, h1)
    torch.testing.assert_close(raw, expected)
    relative = influence_of(
        training.classifier, training.s_val, h, y, InfluenceConfig()
    )
    assert relative.abs().max() <= training.s_val.norm()


@pytest.mark.parametrize("objective", ["raw", "relative"])
def test_extremes_win_unless_the_field_penalty_keeps_the_label(
    training, splits, objective
):
    """Trap 4: what E makes of images is measured by F's own loss on them."""

    def loss_on_views(field_penalty: float) -> float:
        fresh = training_of("base_learned", splits, training.config)
        fresh.load(training.tensors())
        settings = replace(
            training.config.estimator, learning_rate=1e-2, field_penalty=field_penalty
        )
        x, y, rng = fresh.views.estimator_batch_at(0)
        judged_by = replace(training.config.influence, objective=objective)
        list(
            fit_estimator(
                fresh.transform,
                build_optimizer(fresh.transform, settings),
                InfluenceScores(
                    fresh.classifier.eval(), fresh.s_val, judged_by, "float32"
                ),
                lambda step: (x, y, rng),
                range(60),
                settings,
                num_steps=1000,
                precision="float32",
                world=World(),
            )
        )
        noise = torch.zeros(len(x), fresh.transform.config.tau_size)
        with torch.no_grad():
            logits = fresh.classifier(fresh.transform(x, noise))
        return float(soft_cross_entropy(logits, y).mean())

    assert loss_on_views(field_penalty=0.0) > loss_on_views(field_penalty=1.0)


def test_layers_are_the_papers_tables():
    grey, colour = Estimator(128, 1, 28, 28), Estimator(128, 3, 32, 32)
    assert [m.out_channels for m in (grey.first, *grey.down)] == [16, 32, 64]
    assert grey.linear.in_features == 3136
    assert [m.out_channels for m in (colour.first, *colour.down)] == [16, 32, 64, 128]
    assert colour.linear.in_features == 2048


@pytest.mark.parametrize("size", [(16, 16), (28, 28), (33, 47), (5, 6)])
def test_tau_lies_within_one_whatever_the_size(size):
    tau = Estimator(12, 3, *size)(10 * torch.rand(4, 3, *size))
    assert tau.shape == (4, 12)
    assert tau.abs().max() <= 1


def test_one_view_is_differentiable_in_every_parameter_of_e_and_g():
    transform = build_transform(TransformConfig(tau_size=8), 1, 12, 12, 0)
    x = torch.rand(4, 1, 12, 12)
    transform(x, torch.randn(4, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in transform.parameters())


def test_the_initial_transform_is_a_function_of_the_seed():
    a, b, c = (
        build_transform(TransformConfig(tau_size=8), 1, 12, 12, s) for s in (0, 0, 1)
    )
    assert a.generator.out.weight.equal(b.generator.out.weight)
    assert not a.generator.out.weight.equal(c.generator.out.weight)


def test_dropout_drops_its_share_and_keeps_the_mean():
    mask = tau_dropout(
        EstimatorConfig(tau_dropout=0.25), 200, RandomNumbers.of_size(500, "a")
    )
    assert set(mask.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert abs(float((mask == 0).float().mean()) - 0.25) < 0.01
    assert abs(float(mask.mean()) - 1) < 0.01


def test_noise_is_the_same_with_and_without_dropout():
    without, with_ = (
        tau_noise(EstimatorConfig(tau_dropout=p), 8, RandomNumbers.of_size(4, "a"))
        for p in (0.0, 0.5)
    )
    assert without.equal(with_)
    assert tau_dropout(EstimatorConfig(), 8, RandomNumbers.of_size(4, "a")) is None


def test_use_varies_tau_as_training_does():
    """What F trains on is G at the tau E was trained with, for equal random numbers."""
    config = EstimatorConfig(tau_dropout=0.5, tau_noise=0.3)
    transform = build_transform(TransformConfig(tau_size=8), 1, 16, 16, 0)
    x, rng = torch.rand(4, 1, 16, 16), RandomNumbers.of_size(4, "step")
    mask, noise = tau_dropout(config, 8, rng), tau_noise(config, 8, rng)
    tau = transform.estimator(x) * mask + noise
    expected = transform.render(x, transform.generator.unbounded(tau))
    used = Learned(transform, config)(x, RandomNumbers.of_size(4, "step"))
    torch.testing.assert_close(used, expected)


def limited(training: Training, monkeypatch, largest: int) -> None:
    """G renders so many images at a time."""
    render = training.transform.render

    def rendered(x, fields):
        if len(x) > largest:
            raise torch.OutOfMemoryError("no room")
        return render(x, fields)

    monkeypatch.setattr(training.transform, "render", rendered)
    monkeypatch.setattr(training.transform, "parts_that_fit", 1)


def test_a_step_that_does_not_fit_is_taken_in_parts(training, monkeypatch):
    before = {name: t.clone() for name, t in training.tensors().items()}
    whole = fit(training, range(2), training.s_val)
    expected = {name: t.clone() for name, t in training.transform.state_dict().items()}
    training.load(before)
    limited(training, monkeypatch, 3)  # of eight
    parted = fit(training, range(2), training.s_val)
    assert training.transform.parts_that_fit == 4, "remembered"
    for (_, ours), (_, theirs) in zip(parted, whole, strict=True):
        assert dict(ours) == pytest.approx(dict(theirs), rel=1e-4)
    for name, tensor in expected.items():
        torch.testing.assert_close(
            training.transform.state_dict()[name], tensor, rtol=1e-3, atol=1e-6
        )
    training.load(before)


def test_one_image_that_does_not_fit_is_told_with_the_remedy(training, monkeypatch):
    limited(training, monkeypatch, 0)
    with pytest.raises(ValueError, match=r"--estimator\.batch-size"):
        fit(training, range(1), training.s_val)

from dataclasses import replace

import pytest
import torch
from distributed.pool_cases import problem
from resolved import training_of
from tiny import CONFIG
from torch.nn import functional as F

from infaug.config import InfluenceConfig
from infaug.data.dataset import to_float
from infaug.influence.features import head_inputs
from infaug.influence.hessian import LastLayerHessian
from infaug.influence.operator import Damped, dense
from infaug.influence.score import mean_head_gradient
from infaug.randomness import generator
from infaug.training.alternation import refresh
from infaug.training.refresher import Sync
from infaug.training.snapshot import (
    mean_of_sums,
    rows_of_chunks,
    shard_gradient,
    shards_of,
    validation_gradient,
)
from infaug.training.solve import correlation_with_full, hessian_part, solve_s_val
from infaug.training.state import Training
from infaug.world import World


@pytest.fixture(scope="module")
def training(splits) -> Training:
    training = training_of("base_learned", splits)
    training.classifier.eval()
    return training


def solve(training: Training, splits, config: InfluenceConfig):
    return solve_s_val(
        training.classifier, training.train, splits.influence, training.augments,
        config, 0, "test", world=World(), start=torch.zeros_like(training.s_val),
    )  # fmt: skip


def test_on_the_originals_s_is_the_dense_solution_of_the_plain_problem(
    training, splits
):
    def inputs(split):
        x = to_float(split.images)
        return head_inputs(training.classifier, x, batch_size=len(x))

    h1, probs = inputs(splits.train)
    val_h1, val_probs = inputs(splits.influence)
    y = F.one_hot(splits.influence.labels, 10).float()
    expected = dense(
        Damped(LastLayerHessian(h1, probs), 0.01),
        mean_head_gradient(val_probs, y, val_h1),
    )
    found = solve(training, splits, InfluenceConfig(hessian_on="originals", rtol=1e-5))
    assert found.converged
    torch.testing.assert_close(found.value, expected.value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("num_shards", [1, 2, 4])
def test_the_gradients_of_shards_add_up_to_that_of_the_split(num_shards):
    snapshot, splits, _ = problem()
    snapshot.classifier.double()
    split = splits.train  # more than one chunk
    parts = [
        shard_gradient(
            snapshot, split.select(torch.arange(len(split))[rows_of_chunks(c)]), c
        )
        for c in shards_of(len(split), num_shards)
    ]
    gradient = mean_of_sums(parts)
    assert gradient.equal(validation_gradient(snapshot, split, num_shards))
    x = to_float(split.images).double()
    h1, probs = head_inputs(snapshot.classifier, x, batch_size=len(x))
    expected = mean_head_gradient(probs, F.one_hot(split.labels, 10).double(), h1)
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-12)


def test_views_enter_the_hessian_unless_it_is_restricted_to_originals(training, splits):
    views = solve(training, splits, InfluenceConfig())
    originals = solve(training, splits, InfluenceConfig(hessian_on="originals"))
    assert not torch.allclose(views.value, originals.value, rtol=1e-2)


def test_equal_keys_give_equal_bytes(training, splits):
    a, b = (solve(training, splits, InfluenceConfig()).value for _ in range(2))
    assert a.equal(b)


def sampled(num: int | None, **changes) -> InfluenceConfig:
    return InfluenceConfig(hessian_samples=num, **changes)


def test_a_set_that_is_not_twice_the_sample_is_used_whole(training, splits):
    everything = solve(training, splits, sampled(None)).value
    half = len(training.train) // 2
    assert solve(training, splits, sampled(half)).value.equal(everything)
    part = solve(training, splits, sampled(half - 1)).value
    assert not torch.allclose(part, everything, rtol=1e-2)


def test_samples_are_a_function_of_their_key(training):
    config = sampled(25)
    first, again, other = (
        hessian_part(training.train, config, 0, "refresh", round_).images
        for round_ in (1, 1, 2)
    )
    assert first.equal(again)
    assert not first.equal(other)
    assert len(first) == 25


def test_the_correlation_is_one_where_nothing_was_sampled(training, splits):
    s_val = solve(training, splits, sampled(None, rtol=1e-6)).value
    noise = torch.randn(s_val.shape, generator=generator("noise")) * s_val.norm()

    def correlation(s: torch.Tensor) -> float:
        return correlation_with_full(
            s, training.classifier, training.train, splits.influence, training.augments,
            sampled(None), 0, "test",  # the same views as in `solve`
            world=World(),
        )  # fmt: skip

    assert correlation(s_val) == pytest.approx(1, abs=1e-4)
    assert abs(correlation(noise)) < 0.9


@pytest.mark.parametrize(("every", "expected"), [(2, [0, 2]), (0, [])])
def test_a_sampled_refresh_reports_its_correlation_at_the_interval(
    splits, every: int, expected: list[int]
):
    config = replace(CONFIG, influence=sampled(25, probe_every=every))
    training = training_of("base_learned", splits, config)
    lines = [
        next(refresh(training, r, range(1), Sync(training, splits.influence)))
        for r in range(4)
    ]
    reported = [r for r, line in enumerate(lines) if "pearson_full" in line]
    assert reported == expected


def test_a_classifier_that_is_not_deterministic_is_refused(training, splits):
    training.classifier.train()
    with pytest.raises(ValueError, match="training mode"):
        solve(training, splits, InfluenceConfig())
    training.classifier.eval()

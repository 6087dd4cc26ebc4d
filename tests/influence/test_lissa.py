import math

import pytest
import torch
from cases import CASES, Case

from infaug.influence.hessian import LastLayerHessian
from infaug.influence.lissa import combine, lissa
from infaug.influence.operator import Damped
from infaug.influence.recursion import Plan, find_scale, recursion
from infaug.influence.score import mean_head_gradient, with_bias
from infaug.influence.sharded import ShardedHessian
from infaug.randomness import generator

each_case = pytest.mark.parametrize("case", CASES, ids=str)
GENEROUS = {"rtol": 1e-2, "max_products": 10**6}


@pytest.fixture(scope="module")
def problem() -> tuple[LastLayerHessian, torch.Tensor]:
    """2,000 samples: ReLU features with a falling spectrum, a confident head."""
    rng = generator("lissa")
    spectrum = torch.arange(1, 33).float().rsqrt()
    h1 = with_bias((torch.randn(2000, 32, generator=rng) * spectrum).relu())
    head = 3 * torch.randn(5, 33, generator=rng)
    probs = (h1 @ head.T).softmax(1)
    picked = torch.multinomial(probs, 1, generator=rng)[:, 0]
    gradient = mean_head_gradient(probs[:500], torch.eye(5)[picked[:500]], h1[:500])
    return LastLayerHessian(h1, probs), gradient


@each_case
def test_s_val_comes_within_the_residual_of_the_reference(case: Case):
    b = case.grad_val
    solution = lissa(
        case.damped, b, seed=("test",), batch_size=16, num_steps=1500, **GENEROUS
    )
    print(solution.status)
    assert solution.residual < 0.3
    error = float((solution.value - case.s_val).norm())
    assert error <= 1.01 * solution.residual * float(b.norm()) / case.damping


def test_no_scale_is_given_and_2000_steps_reach_a_hundredth(problem):
    hessian, b = problem
    solution = lissa(
        Damped(hessian, 1e-3), b, seed=("test",), num_steps=2000, **GENEROUS
    )
    print(solution.status)
    assert solution.converged


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_features_of_any_size_converge_without_a_scale(problem, size: float):
    hessian, b = problem
    scaled = LastLayerHessian(size * hessian.h1, hessian.probs)
    operator = Damped(scaled, 1e-2 * size**2)
    solution = lissa(operator, size * b, seed=("test",), **GENEROUS)
    assert solution.converged, solution.status


@each_case
def test_no_minibatch_has_more_curvature_than_is_certified(case: Case):
    hessian = case.operator
    size = case.head.numel()
    units = torch.eye(size, dtype=torch.float64).view(size, *case.head.shape)
    for row in range(len(case.h1)):
        matrix = (hessian.minibatch(torch.tensor([row])) @ units).view(size, size)
        largest = float(torch.linalg.eigvalsh(matrix)[-1])
        assert largest <= hessian.curvature_bound() * (1 + 1e-6)


@each_case
def test_the_scale_is_between_what_was_met_and_what_is_certified(case: Case):
    scale = find_scale(case.damped, case.grad_val, seed=("test",), batch_size=8)
    largest = float(torch.linalg.eigvalsh(case.hessian)[-1])
    assert scale <= case.operator.curvature_bound() + case.damping
    assert scale > 0.8 * largest


def test_a_scale_that_is_too_small_grows_on_the_way(problem):
    hessian, b = problem
    operator, zero = Damped(hessian, 1e-2), torch.zeros_like(b)
    plan = Plan(batch_size=256, num_steps=500, scale=1e-2, wanted=0, share=0)
    run = recursion(operator, b, seed=("test",), x0=zero, plan=plan)
    assert not run.is_diverged
    assert run.scale > 0.1


def test_steps_that_cannot_be_afforded_are_named(problem):
    hessian, b = problem
    solution = lissa(
        Damped(hessian, 1e-6), b, seed=("test",), rtol=1e-3, max_products=50
    )
    assert not solution.converged
    assert "over damping 1e-06 asks for" in solution.status
    assert solution.num_products <= 52


def test_the_spread_of_repeats_shrinks_with_their_number(problem):
    hessian, b = problem
    settings = GENEROUS | {"num_steps": 100, "batch_size": 64}
    few, many = (
        lissa(Damped(hessian, 1e-2), b, seed=("s",), num_repeats=n, **settings).spread
        for n in (4, 16)
    )
    # A quarter of the variance; 4 repeats know their own spread to a factor of two.
    assert many == pytest.approx(few / 2, rel=0.5)


def test_the_spread_is_the_error_that_minibatches_leave(problem):
    hessian, b = problem
    operator, zero = Damped(hessian, 1e-2), torch.zeros_like(b)
    # One scale: what too few steps leave is then the same in both, and cancels.
    plan = Plan(batch_size=64, num_steps=100, scale=1.0, wanted=0, share=0)
    one, two = (
        combine(
            operator, b,
            [recursion(operator, b, seed=(s, n), x0=zero, plan=plan) for n in range(8)],
            plan, rtol=1e-2,
        )
        for s in ("one", "two")
    )  # fmt: skip
    apart = float((one.value - two.value).norm() / one.value.norm())
    assert apart == pytest.approx(math.sqrt(2) * one.spread, rel=0.5)


def test_equal_seeds_give_equal_bytes_and_others_do_not(problem):
    hessian, b = problem
    settings = GENEROUS | {"num_steps": 50}
    a, again, other = (
        lissa(Damped(hessian, 1e-2), b, seed=(seed,), **settings).value
        for seed in ("a", "a", "b")
    )
    assert a.equal(again)
    assert not a.equal(other)


def test_shards_give_the_minibatches_of_the_whole(problem):
    hessian, b = problem
    parts = torch.arange(2000).split(700)
    whole = ShardedHessian(
        [LastLayerHessian(hessian.h1[rows], hessian.probs[rows]) for rows in parts]
    )
    rows = torch.randperm(2000, generator=generator("rows"))[:256]
    torch.testing.assert_close(
        whole.minibatch(rows) @ b, hessian.minibatch(rows) @ b, rtol=1e-4, atol=1e-7
    )
    assert whole.curvature_bound() == pytest.approx(hessian.curvature_bound())


def test_several_right_hand_sides_share_the_minibatches(problem):
    hessian, b = problem
    both = torch.stack([b, -2 * b])
    solution = lissa(Damped(hessian, 1e-2), both, seed=("test",), **GENEROUS)
    assert solution.converged
    torch.testing.assert_close(-2 * solution.value[0], solution.value[1])

from functools import partial
from itertools import pairwise

import pytest
import torch
from cases import CASES, Case
from torch import Tensor

from infaug.influence.conjugate import cg
from infaug.influence.hessian import LastLayerHessian, Rough
from infaug.influence.kronecker import FactorSums, KroneckerInverse
from infaug.influence.operator import Damped, Operator, Solution, dense
from infaug.influence.score import mean_head_gradient, upweight_influence, with_bias
from infaug.influence.validate import refit_head
from infaug.randomness import generator


def preconditioned(operator: Damped, b: Tensor, **settings) -> Solution:
    return cg(operator, b, preconditioner=inverse(operator), **settings)


def in_bfloat16(operator: Damped, b: Tensor, **settings) -> Solution:
    hessian = operator.operator
    rough = (
        Damped(Rough(hessian), operator.damping)
        if isinstance(hessian, LastLayerHessian)
        else operator
    )
    settings |= {"rough": rough, "preconditioner": inverse(operator)}
    return cg(operator, b, **settings)


def inverse(operator: Damped) -> KroneckerInverse:
    hessian = operator.operator
    if isinstance(hessian, LastLayerHessian):
        return KroneckerInverse(hessian.factor_sums(), operator.damping)
    eye = torch.eye(3), torch.eye(5)
    return KroneckerInverse(
        FactorSums(*eye, trace=15.0, num_samples=1), operator.damping
    )


EXACTLY = {"rtol": 1e-10, "max_products": 1000}
ITERATIVE = {"cg": cg, "pcg": preconditioned, "refined": in_bfloat16}
SOLVERS = {"dense": dense} | {k: partial(v, **EXACTLY) for k, v in ITERATIVE.items()}

each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_iterative = pytest.mark.parametrize("solve", ITERATIVE.values(), ids=ITERATIVE)
each_solver = pytest.mark.parametrize("solve", SOLVERS.values(), ids=SOLVERS)


@each_solver
@each_case
def test_s_val_equals_the_reference(solve, case: Case):
    solution = solve(case.damped, case.grad_val)
    assert solution.converged
    # A residual of 1e-10 |b| leaves an error of at most 1e-10 |b| / damping.
    atol = 1e-10 * float(case.grad_val.norm()) / case.damping
    torch.testing.assert_close(solution.value, case.s_val, rtol=0, atol=atol)


@each_solver
@each_case
def test_class_rows_of_s_sum_to_zero(solve, case: Case):
    s_val = solve(case.damped, case.grad_val).value
    assert float(s_val.sum(dim=0).abs().max()) < 1e-10 * float(s_val.abs().max() + 1)


@each_case
def test_the_residual_reported_is_the_true_one(case: Case):
    b, operator = case.grad_val, case.damped
    for max_products in range(2, 12):
        in_float32 = cg(operator, b.float(), rtol=1e-4, max_products=max_products)
        true = float((b - operator @ in_float32.value.double()).norm() / b.norm())
        # float32 rounds each term of b - A x; the largest is |A||x| / |b| = 100.
        assert in_float32.residual == pytest.approx(true, rel=1e-3, abs=1e-5)


@each_solver
@each_case
def test_several_right_hand_sides_are_solved_as_one_by_one(solve, case: Case):
    shape = (2, 2)
    b = torch.stack([case.random_head(f"b{i}") for i in range(4)])
    b[1] = 0  # one that is solved already
    b[2] *= 1e-6  # and one of another size: tolerances are each one's own
    together = solve(case.damped, b.unflatten(0, shape))
    assert together.converged
    for one, value in zip(b, together.value.flatten(0, 1), strict=True):
        alone = solve(case.damped, one).value
        atol = 2e-10 * float(one.norm()) / case.damping
        torch.testing.assert_close(value, alone, rtol=0, atol=atol)


@each_solver
def test_zero_right_hand_side_gives_zero(solve):
    b = torch.zeros(3, 5)
    solution = solve(CASES[0].damped, b)
    assert solution.converged
    assert solution.num_products == 0
    assert torch.equal(solution.value, b)


@each_solver
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_right_hand_side_that_is_not_finite_is_refused(solve, bad: float):
    b = CASES[0].grad_val.clone()
    b[0, 0] = bad
    with pytest.raises(ValueError, match="1 entries that are NaN or infinite"):
        solve(CASES[0].damped, b)


@each_solver
def test_features_that_are_not_finite_are_refused(solve):
    case = CASES[0]
    h1 = case.h1.clone()
    h1[0, 0] = float("nan")
    with pytest.raises(ValueError, match="look for NaN"):
        solve(Damped(LastLayerHessian(h1, case.probs), 1e-2), case.grad_val)


class Negative:
    """An operator that no solver here is meant for: -I, once damped by half."""

    def __matmul__(self, v: Tensor) -> Tensor:
        return -1.5 * v


@each_solver
def test_negative_curvature_is_refused(solve):
    with pytest.raises(ValueError, match="not positive definite"):
        solve(Damped(Negative(), 0.5), CASES[0].grad_val)


def test_dense_refuses_what_does_not_fit():
    b = torch.zeros(10, 501)
    with pytest.raises(ValueError, match="5010 unknowns are more than the 5000 that"):
        dense(CASES[0].damped, b)


def test_cg_that_does_not_converge_says_what_to_try():
    solution = cg(CASES[0].damped, CASES[0].grad_val, rtol=1e-10, max_products=4)
    assert not solution.converged
    assert solution.num_products == 4
    assert solution.status.startswith("stopped after 4 products, residual ")
    assert solution.status.endswith(": raise max_products or damping")


def test_cg_that_asks_too_much_of_float32_says_so():
    case = CASES[0]
    solution = cg(case.damped, case.grad_val.float(), rtol=1e-12, max_products=500)
    assert not solution.converged
    assert solution.num_products < 500
    assert "float32 allows no better" in solution.status
    assert solution.residual < 1e-5


@each_case
def test_more_products_never_give_a_worse_residual(case: Case):
    residuals = [
        cg(case.damped, case.grad_val, rtol=1e-9, max_products=n).residual
        for n in range(1, 20)
    ]
    for fewer, more in pairwise(residuals):
        assert more <= fewer * (1 + 1e-9)


@each_iterative
def test_a_warm_start_at_the_solution_costs_one_product(solve):
    case, settings = CASES[0], {"rtol": 1e-6, "max_products": 100}
    first = solve(case.damped, case.grad_val, **settings)
    again = solve(case.damped, case.grad_val, x0=first.value, **settings)
    assert again.converged
    assert again.num_products == 1
    torch.testing.assert_close(again.value, first.value)


def test_cg_to_a_thousandth_ranks_digits_as_the_dense_solution(digits):
    damping, h1, h1_val = 1e-2, digits.h1(digits.x), digits.h1(digits.x_val)
    head = refit_head(h1, digits.y, damping=damping)
    probs, probs_val = (h1 @ head.T).softmax(1), (h1_val @ head.T).softmax(1)
    grad_val = mean_head_gradient(probs_val, digits.y_val, h1_val).float()
    operator = Damped(LastLayerHessian(h1.float(), probs.float()), damping)
    exact = dense(operator, grad_val)
    quick = cg(operator, grad_val, rtol=1e-3, max_products=200)
    assert quick.converged
    scores = [upweight_influence(s.value, probs, digits.y, h1) for s in (exact, quick)]
    pearson = float(torch.corrcoef(torch.stack(scores))[0, 1])
    print(f"Pearson {pearson:.7f} after {quick.num_products} products")
    assert pearson >= 0.999


def ill_conditioned(num: int = 2000) -> tuple[LastLayerHessian, Tensor]:
    """ReLU features with a falling spectrum and a confident head, in float32."""
    rng = generator("ill conditioned")
    spectrum = torch.arange(1, 65).float().rsqrt()
    turn = torch.linalg.qr(torch.randn(64, 64, generator=rng))[0]
    h = (torch.randn(num, 64, generator=rng) * spectrum @ turn).relu()
    head = 3 * torch.randn(10, 65, generator=rng)
    h1 = with_bias(h)
    probs = (h1 @ head.T).softmax(1)
    picked = torch.multinomial(probs, 1, generator=rng)[:, 0]
    b = mean_head_gradient(probs[:500], torch.eye(10)[picked[:500]], h1[:500])
    return LastLayerHessian(h1, probs), b


@pytest.mark.parametrize("damping", [1e-3, 1e-5])
def test_the_preconditioner_saves_a_third_of_the_products(damping: float):
    hessian, b = ill_conditioned()
    operator, settings = Damped(hessian, damping), {"rtol": 1e-3, "max_products": 500}
    plain = cg(operator, b, **settings)
    fewer = preconditioned(operator, b, **settings)
    assert plain.converged
    assert fewer.converged
    print(f"{plain.num_products} products, preconditioned {fewer.num_products}")
    assert fewer.num_products < 0.67 * plain.num_products


@pytest.mark.parametrize("damping", [1e-3, 1e-5])
def test_refined_needs_few_exact_products(damping: float):
    hessian, b = ill_conditioned()
    counted = Counted(Damped(hessian, damping))
    rough = Damped(Rough(hessian), damping)
    inverse = KroneckerInverse(hessian.factor_sums(), damping)
    settings = {"rtol": 1e-3, "max_products": 500}
    solution = cg(counted, b, rough=rough, preconditioner=inverse, **settings)
    assert solution.converged
    assert counted.num_products <= 4 < solution.num_products


class Counted:
    """Another operator, and how often it was used."""

    def __init__(self, operator: Operator):
        self.operator, self.num_products = operator, 0

    def __matmul__(self, v: Tensor) -> Tensor:
        self.num_products += 1
        return self.operator @ v


def test_refined_goes_on_exactly_where_rough_products_do_not_help():
    case = CASES[0]
    rough = Damped(Scaled(case.damped.operator, 100.0), 10.0)
    settings = {"rtol": 1e-8, "max_products": 200}
    inverse_ = inverse(case.damped)
    b = case.grad_val
    solution = cg(case.damped, b, rough=rough, preconditioner=inverse_, **settings)
    assert solution.converged


class Scaled:
    """A multiple of an operator."""

    def __init__(self, operator: Operator, factor: float):
        self.operator, self.factor = operator, factor

    def __matmul__(self, v: Tensor) -> Tensor:
        return self.factor * (self.operator @ v)

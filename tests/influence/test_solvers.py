from functools import partial
from itertools import pairwise

import pytest
import torch
from cases import CASES, Case
from torch import Tensor

from infaug.influence.cg import cg
from infaug.influence.damped import Damped
from infaug.influence.dense import dense
from infaug.influence.gradient import mean_head_gradient
from infaug.influence.hessian import LastLayerHessian
from infaug.influence.refit import refit_head
from infaug.influence.score import upweight_influence

SOLVERS = {"dense": dense, "cg": partial(cg, rtol=1e-10, max_products=500)}

each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_solver = pytest.mark.parametrize("solve", SOLVERS.values(), ids=SOLVERS)


def damped(case: Case) -> Damped:
    return Damped(LastLayerHessian(case.h1, case.probs, case.weights), case.damping)


@each_solver
@each_case
def test_s_val_equals_the_reference(solve, case: Case):
    solution = solve(damped(case), case.grad_val)
    assert solution.converged
    # A residual of 1e-10 |b| leaves an error of at most 1e-10 |b| / damping.
    atol = 1e-10 * float(case.grad_val.norm()) / case.damping
    torch.testing.assert_close(solution.value, case.s_val, rtol=0, atol=atol)


@each_solver
@each_case
def test_class_rows_of_s_sum_to_zero(solve, case: Case):
    s_val = solve(damped(case), case.grad_val).value
    assert float(s_val.sum(dim=0).abs().max()) < 1e-10 * float(s_val.abs().max() + 1)


@each_case
def test_class_rows_of_every_cg_iterate_sum_to_zero(case: Case):
    for max_products in range(1, 12):
        x = cg(damped(case), case.grad_val, rtol=1e-12, max_products=max_products).value
        assert float(x.sum(dim=0).abs().max()) < 1e-10 * float(x.abs().max() + 1)


@each_case
def test_the_residual_reported_is_the_true_one(case: Case):
    b, operator = case.grad_val, damped(case)
    for max_products in range(2, 12):
        in_float32 = cg(operator, b.float(), rtol=1e-4, max_products=max_products)
        true = float((b - operator @ in_float32.value.double()).norm() / b.norm())
        # float32 rounds each term of b - A x; the largest is |A||x| / |b| = 100.
        assert in_float32.residual == pytest.approx(true, rel=1e-3, abs=1e-5)


@each_solver
def test_zero_right_hand_side_gives_zero(solve):
    b = torch.zeros(3, 5)
    solution = solve(damped(CASES[0]), b)
    assert solution.converged
    assert solution.num_products == 0
    assert torch.equal(solution.value, b)


@each_solver
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_right_hand_side_that_is_not_finite_is_refused(solve, bad: float):
    b = CASES[0].grad_val.clone()
    b[0, 0] = bad
    with pytest.raises(ValueError, match="1 entries that are NaN or infinite"):
        solve(damped(CASES[0]), b)


@each_solver
def test_features_that_are_not_finite_are_refused(solve):
    case = CASES[0]
    h1 = case.h1.clone()
    h1[0, 0] = float("nan")
    with pytest.raises(ValueError, match="look for NaN"):
        solve(Damped(LastLayerHessian(h1, case.probs), 1e-2), case.grad_val)


class Negative:
    """An operator that no solver here is meant for: -I."""

    def __matmul__(self, v: Tensor) -> Tensor:
        return -v


@each_solver
def test_negative_curvature_is_refused(solve):
    with pytest.raises(ValueError, match="not positive definite"):
        solve(Negative(), CASES[0].grad_val)


def test_dense_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="15 unknowns are more than max_unknowns"):
        dense(damped(CASES[0]), CASES[0].grad_val, max_unknowns=14)


def test_cg_that_does_not_converge_says_what_to_try():
    solution = cg(damped(CASES[0]), CASES[0].grad_val, rtol=1e-10, max_products=4)
    assert not solution.converged
    assert solution.num_products == 4
    assert solution.status.startswith("stopped after 4 products, residual ")
    assert solution.status.endswith(": raise max_products or damping")


def test_cg_that_asks_too_much_of_float32_says_so():
    case = CASES[0]
    solution = cg(damped(case), case.grad_val.float(), rtol=1e-12, max_products=500)
    assert not solution.converged
    assert solution.num_products < 500
    assert "float32 allows no better" in solution.status
    assert solution.residual < 1e-5


@each_case
def test_more_products_never_give_a_worse_residual(case: Case):
    residuals = [
        cg(damped(case), case.grad_val, rtol=1e-9, max_products=n).residual
        for n in range(1, 20)
    ]
    for fewer, more in pairwise(residuals):
        assert more <= fewer * (1 + 1e-9)


@each_case
def test_cg_without_products_left_does_not_blame_the_precision(case: Case):
    for max_products in range(1, 8):
        solution = cg(damped(case), case.grad_val, rtol=1e-9, max_products=max_products)
        assert solution.converged or solution.status.startswith("stopped after")


def test_a_warm_start_at_the_solution_costs_one_product():
    case = CASES[0]
    first = cg(damped(case), case.grad_val, rtol=1e-6, max_products=100)
    again = cg(damped(case), case.grad_val, rtol=1e-6, max_products=100, x0=first.value)
    assert again.converged
    assert again.num_products == 1
    torch.testing.assert_close(again.value, first.value)


def test_a_warm_start_worse_than_zero_is_not_used():
    case = CASES[0]
    far = 1e6 * case.random_head("far")
    solution = cg(damped(case), case.grad_val, rtol=1e-6, max_products=1, x0=far)
    assert torch.equal(solution.value, torch.zeros_like(case.grad_val))
    assert solution.residual == pytest.approx(1.0)


def test_a_tiny_right_hand_side_does_not_underflow():
    case = CASES[0]
    b = (1e-25 * case.grad_val / case.grad_val.norm()).float()
    solution = cg(damped(case), b, rtol=1e-4, max_products=100)
    assert solution.converged
    assert float(solution.value.double().norm()) > 1e-25


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

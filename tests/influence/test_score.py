import pytest
import reference
import torch
from cases import CASES, Case
from torch import Tensor, nn

from infaug.influence.score import (
    relative_influence,
    replace_influence,
    upweight_influence,
    with_bias,
)
from infaug.influence.validate import head_loss, refit_head

each_case = pytest.mark.parametrize("case", CASES, ids=str)


@each_case
def test_influence_is_minus_the_product_of_s_and_autograd_gradients(case: Case):
    gradients = reference.sample_gradients(case.head, case.h1, case.y)
    truth = -(gradients * case.s_val).sum(dim=(1, 2))
    ours = upweight_influence(case.s_val, case.probs, case.y, case.h1)
    torch.testing.assert_close(ours, truth, rtol=1e-10, atol=1e-10)


@each_case
def test_weighting_a_sample_up_moves_validation_loss_as_predicted(case: Case):
    num, step = len(case.h1), 1e-4  # weight 1 + num * step: step more in the mean
    head = refit_head(case.h1, case.y, damping=case.damping)
    s_val = s_val_at(head, case)
    row = 0
    probs = reference.probs(head, case.h1[row : row + 1])
    z = (probs, case.y[row : row + 1], case.h1[row : row + 1])
    predicted = float(upweight_influence(s_val, *z))

    def loss_at(step: float) -> float:
        weights = torch.ones(num, dtype=torch.float64)
        weights[row] += num * step
        # The mean divides by a larger sum, so the penalty must shrink with it.
        damping = case.damping / (1 + step)
        refitted = refit_head(
            case.h1, case.y, damping=damping, weights=weights, init=head, tol=1e-11
        )
        return float(head_loss(refitted, case.h1_val, case.y_val))

    actual = (loss_at(step) - loss_at(-step)) / (2 * step)
    # A central difference errs by step^2 times a third derivative.
    assert actual == pytest.approx(predicted, rel=1e-2, abs=1e-5)


@each_case
def test_replacing_by_itself_has_no_influence(case: Case):
    z = (case.probs, case.h1)
    ours = replace_influence(case.s_val, case.y, *z, *z)
    assert torch.equal(ours, torch.zeros_like(ours))


def test_influence_grows_with_the_residual_and_the_features():
    s_val = torch.tensor([[1.0, -1.0, 0.5], [-1.0, 1.0, -0.5]])
    y = torch.tensor([[1.0, 0.0]])
    h1 = torch.tensor([[1.0, 2.0, 1.0]])
    sure, unsure = torch.tensor([[0.9, 0.1]]), torch.tensor([[0.5, 0.5]])
    small = upweight_influence(s_val, sure, y, h1)
    torch.testing.assert_close(upweight_influence(s_val, unsure, y, h1), 5 * small)
    torch.testing.assert_close(upweight_influence(s_val, sure, y, 7 * h1), 7 * small)


@each_case
@pytest.mark.parametrize("scale", [1.0, 1e3, 1e6])
def test_relative_influence_is_bounded_by_the_norm_of_s(case: Case, scale: float):
    args = (case.s_val, case.probs, case.y, scale * case.h1)
    ours = relative_influence(*args, norm_floor=1e-6)
    assert float(ours.abs().max()) <= float(case.s_val.norm()) * (1 + 1e-12)
    raw = upweight_influence(*args)
    assert torch.equal(raw.sign(), ours.sign())


def test_relative_influence_is_finite_where_the_label_is_met():
    y = torch.tensor([[1.0, 0.0]])
    ours = relative_influence(torch.ones(2, 3), y, y, torch.ones(1, 3), norm_floor=0.1)
    assert float(ours) == 0


def test_scores_are_differentiable_in_the_image():
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Softplus(), nn.Flatten()).double()
    head, s_val = torch.randn(3, 9).double(), torch.randn(3, 9).double()
    y = torch.eye(3).double()[:2]
    x = torch.rand(2, 1, 4, 4).double().requires_grad_()

    def scores(x: Tensor) -> tuple[Tensor, ...]:
        h1 = with_bias(body(x))
        probs = (h1 @ head.T).softmax(dim=1)
        start = (torch.full_like(probs, 1 / 3), torch.ones_like(h1))
        return (
            upweight_influence(s_val, probs, y, h1),
            replace_influence(s_val, y, *start, probs, h1),
            relative_influence(s_val, probs, y, h1, norm_floor=0.1),
        )

    assert torch.autograd.gradcheck(scores, [x])


def test_s_val_is_a_constant():
    case = CASES[0]
    s_val = case.s_val.clone().requires_grad_()
    h1 = case.h1.clone().requires_grad_()
    upweight_influence(s_val, case.probs, case.y, h1).sum().backward()
    assert s_val.grad is None
    assert h1.grad is not None


def test_autocast_does_not_lower_the_precision():
    case = CASES[0]
    args = [a.float() for a in (case.s_val, case.probs, case.y, case.h1)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = upweight_influence(*args)
    assert torch.equal(inside, upweight_influence(*args))


def s_val_at(head: Tensor, case: Case) -> Tensor:
    hessian = reference.hessian(head, case.h1, case.y)
    grad_val = reference.gradient(head, case.h1_val, case.y_val)
    return reference.solve(hessian, case.damping, grad_val)

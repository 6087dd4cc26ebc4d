import pytest
import reference
import torch
from cases import CASES, Case

from infaug.influence.score import (
    gradient_norm,
    mean_head_gradient,
    with_bias,
)

each_case = pytest.mark.parametrize("case", CASES, ids=str)


@each_case
def test_mean_gradient_equals_autograd(case: Case):
    truth = reference.gradient(case.head, case.h1, case.y, case.weights)
    ours = mean_head_gradient(case.probs, case.y, case.h1, case.weights)
    assert_close(ours, truth)


@each_case
def test_gradient_norm_equals_autograd(case: Case):
    truth = reference.sample_gradients(case.head, case.h1, case.y)
    ours = gradient_norm(case.probs, case.y, case.h1)
    assert_close(ours, truth.flatten(1).norm(dim=1))


def test_gradient_norm_has_a_finite_gradient_where_the_label_is_met():
    probs = torch.tensor([[1.0, 0.0], [0.5, 0.5]], requires_grad=True)
    h1 = with_bias(torch.zeros(2, 3)).requires_grad_()
    y = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    gradient_norm(probs, y, h1).sum().backward()
    assert probs.grad is not None
    assert h1.grad is not None
    assert torch.isfinite(probs.grad).all()
    assert torch.isfinite(h1.grad).all()


def test_features_in_bfloat16_are_averaged_in_float32():
    case = CASES[0]
    h1 = case.h1.bfloat16()
    ours = mean_head_gradient(case.probs.float(), case.y.float(), h1)
    truth = mean_head_gradient(case.probs, case.y, h1.double())
    assert ours.dtype == torch.float32
    # float32 rounding of the sum; bfloat16 arithmetic would err by 1e-3.
    torch.testing.assert_close(ours.double(), truth, rtol=0, atol=1e-6)


def assert_close(ours: torch.Tensor, truth: torch.Tensor):
    torch.testing.assert_close(ours, truth, rtol=1e-10, atol=1e-10)

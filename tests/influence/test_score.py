import pytest
import reference
import torch
from cases import CASES, Case
from torch import Tensor, nn

from infaug.influence.score import (
    gradient_norm,
    mean_head_gradient,
    relative_influence,
    replace_influence,
    upweight_influence,
    with_bias,
)
from infaug.influence.validate import Validation, head_loss, refit_head, validate

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
        refitted = reference.refit(head, case.h1, case.y, weights, damping)
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


@each_case
def test_mean_gradient_equals_autograd(case: Case):
    truth = reference.gradient(case.head, case.h1, case.y)
    ours = mean_head_gradient(case.probs, case.y, case.h1)
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


@each_case
def test_the_objective_has_no_slope_at_the_refitted_head(case: Case):
    head = refit_head(case.h1, case.y, damping=case.damping)
    slope = reference.gradient(head, case.h1, case.y)
    assert float((slope + case.damping * head).norm()) < 1.1e-9


@each_case
def test_the_start_does_not_matter(case: Case):
    fit = {"damping": case.damping, "tol": 1e-11}
    cold = refit_head(case.h1, case.y, **fit)
    far = refit_head(case.h1, case.y, **fit, init=100 * case.head)
    # A gradient below tol leaves the head within tol / damping of the minimum.
    torch.testing.assert_close(far, cold, rtol=0, atol=2e-11 / case.damping)


@each_case
def test_head_loss_equals_the_reference(case: Case):
    ours = head_loss(case.head, case.h1, case.y)
    truth = reference.loss(case.head, case.h1, case.y)
    torch.testing.assert_close(ours, truth, rtol=0, atol=1e-12)


def test_too_few_steps_are_an_error_with_advice(monkeypatch):
    case = CASES[0]
    monkeypatch.setattr("infaug.influence.validate.MAX_STEPS", 1)
    with pytest.raises(ValueError, match="not fitted after 1 Newton steps: gradient"):
        refit_head(case.h1, case.y, damping=1e-2)


def validated(digits, y: Tensor, x_aug: Tensor, picked: Tensor) -> Validation:
    h1, h1_aug, h1_val = map(digits.h1, (digits.x, x_aug, digits.x_val))
    return validate(h1, y, h1_aug, picked, h1_val, digits.y_val, damping=1e-2)


@pytest.fixture(scope="module")
def validation(digits, picked, x_aug) -> Validation:
    """50 digits turned and moved, one at a time, the head refitted each time."""
    return validated(digits, digits.y, x_aug, picked)


def test_influence_predicts_what_refitting_shows(validation: Validation):
    v = validation
    print(
        f"Pearson {v.pearson:.5f}, Spearman {v.spearman:.5f}, slope {v.slope:.4f}, "
        f"signs {v.sign_agreement:.3f} of {len(v.predicted)}"
    )
    assert v.pearson >= 0.99
    assert v.spearman >= 0.98
    assert abs(v.slope - 1) <= 0.05
    assert v.sign_agreement == 1


def test_negative_influence_lowers_validation_loss(validation: Validation):
    most_helpful = validation.predicted.argmin()
    most_harmful = validation.predicted.argmax()
    assert validation.predicted[most_helpful] < 0 < validation.predicted[most_harmful]
    assert validation.actual[most_helpful] < 0 < validation.actual[most_harmful]


def test_soft_labels_are_predicted_as_well(digits, picked, x_aug):
    v = validated(digits, 0.9 * digits.y + 0.01, x_aug[:10], picked[:10])
    assert v.pearson >= 0.99

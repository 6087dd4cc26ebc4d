import pytest
import reference
import torch
from cases import CASES, Case

from infaug.influence.validate import head_loss, refit_head

each_case = pytest.mark.parametrize("case", CASES, ids=str)


@each_case
def test_the_objective_has_no_slope_at_the_refitted_head(case: Case):
    head = refit_head(case.h1, case.y, damping=case.damping, weights=case.weights)
    slope = reference.gradient(head, case.h1, case.y, case.weights)
    assert float((slope + case.damping * head).norm()) < 1.1e-9


@each_case
def test_the_start_does_not_matter(case: Case):
    fit = {"damping": case.damping, "weights": case.weights, "tol": 1e-11}
    cold = refit_head(case.h1, case.y, **fit)
    far = refit_head(case.h1, case.y, **fit, init=100 * case.head)
    # A gradient below tol leaves the head within tol / damping of the minimum.
    torch.testing.assert_close(far, cold, rtol=0, atol=2e-11 / case.damping)


@each_case
def test_head_loss_equals_the_reference(case: Case):
    ours = head_loss(case.head, case.h1, case.y)
    truth = reference.loss(case.head, case.h1, case.y)
    torch.testing.assert_close(ours, truth, rtol=0, atol=1e-12)


def test_too_few_steps_are_an_error_with_advice():
    case = CASES[0]
    with pytest.raises(ValueError, match="not fitted after 1 Newton steps: gradient"):
        refit_head(case.h1, case.y, damping=1e-2, max_steps=1)


def test_a_tolerance_below_rounding_is_an_error_with_advice():
    case = CASES[0]
    with pytest.raises(ValueError, match="relax tol"):
        refit_head(case.h1, case.y, damping=1e-2, tol=0.0)

import pytest
import torch
from cases import CASES, Case

from infaug.influence.hessian import LastLayerHessian
from infaug.influence.operator import Damped

each_case = pytest.mark.parametrize("case", CASES, ids=str)


@each_case
def test_product_equals_autograd(case: Case):
    v = case.random_head("v")
    truth = (case.hessian @ v.flatten()).view_as(v)
    close = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(hessian(case) @ v, truth, **close)
    damped_truth = truth + case.damping * v
    torch.testing.assert_close(
        Damped(hessian(case), case.damping) @ v, damped_truth, **close
    )


@each_case
def test_several_arrays_are_multiplied_at_once(case: Case):
    v = torch.stack([case.random_head(f"v{i}") for i in range(3)])
    one_by_one = torch.stack([hessian(case) @ each for each in v])
    torch.testing.assert_close(hessian(case) @ v, one_by_one, rtol=0, atol=1e-13)


@each_case
def test_chunks_do_not_change_the_product(case: Case):
    v = case.random_head("v")
    chunked = LastLayerHessian(case.h1, case.probs, case.weights, chunk_size=4)
    torch.testing.assert_close(chunked @ v, hessian(case) @ v, rtol=0, atol=1e-13)


@each_case
def test_one_vector_in_every_class_row_is_a_null_direction(case: Case):
    for unit in torch.eye(case.h1.shape[1], dtype=torch.float64):
        v = unit.expand_as(case.head)
        assert float((hessian(case) @ v).norm()) < 1e-13


@each_case
def test_null_directions_number_at_least_one_per_feature_and_bias(case: Case):
    eigenvalues = torch.linalg.eigvalsh(case.hessian)
    num_null = int((eigenvalues < 1e-12 * eigenvalues[-1]).sum())
    num_inputs = case.h1.shape[1]
    assert num_null >= num_inputs
    if len(case.h1) >= 3 * num_inputs and case.head_scale == 1:
        # Samples in every direction, and doubt about each: nothing else is null.
        assert num_null == num_inputs


def test_equal_weights_are_no_weights():
    case = CASES[0]
    v = case.random_head("v")
    weighted = LastLayerHessian(case.h1, case.probs, torch.full((len(case.h1),), 3.0))
    torch.testing.assert_close(weighted @ v, hessian(case) @ v, rtol=0, atol=1e-14)


def test_features_in_bfloat16_are_multiplied_in_float32():
    case = CASES[0]
    h1, probs = case.h1.bfloat16(), case.probs.bfloat16()
    v = case.random_head("v")
    ours = LastLayerHessian(h1, probs) @ v.float()
    truth = LastLayerHessian(h1.double(), probs.double()) @ v
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours.double(), truth, rtol=0, atol=1e-6)


@pytest.mark.parametrize("damping", [0.0, -1e-3, float("nan")])
def test_damping_that_leaves_the_hessian_singular_is_refused(damping: float):
    with pytest.raises(ValueError, match="damping must be > 0"):
        Damped(hessian(CASES[0]), damping)


@pytest.mark.parametrize("weights", [[1.0, -0.1], [0.0, 0.0]])
def test_weights_that_give_no_curvature_are_refused(weights: list[float]):
    h1, probs = torch.ones(2, 3), torch.full((2, 2), 0.5)
    with pytest.raises(ValueError, match="sample weights must be >= 0"):
        LastLayerHessian(h1, probs, torch.tensor(weights))


def hessian(case: Case) -> LastLayerHessian:
    return LastLayerHessian(case.h1, case.probs, case.weights)

import pytest
import torch
from cases import CASES, Case

from infaug.influence.hessian import LastLayerHessian, Rough
from infaug.influence.kronecker import KroneckerInverse, factor_sums
from infaug.influence.operator import Damped
from infaug.influence.sharded import ShardedHessian

each_case = pytest.mark.parametrize("case", CASES, ids=str)

CLOSE = {"rtol": 1e-10, "atol": 1e-12}


def cut(case: Case, num_parts: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    rows = torch.arange(len(case.h1)).tensor_split(min(num_parts, len(case.h1)))
    return [(case.h1[r], case.probs[r]) for r in rows]


@each_case
def test_shards_add_up_to_the_whole(case: Case):
    v = case.random_head("v")
    sharded = ShardedHessian([LastLayerHessian(*part) for part in cut(case, 3)])
    torch.testing.assert_close(sharded @ v, case.operator @ v, **CLOSE)
    nested = sharded.product_sum(v) / sharded.num_samples
    assert nested.equal(sharded @ v)


def test_no_shard_is_refused():
    with pytest.raises(ValueError, match="at least one shard, got none"):
        ShardedHessian([])


@each_case
def test_rough_products_are_near_and_their_class_rows_sum_to_zero(case: Case):
    v, hessian = case.random_head("v"), case.operator
    exact, rough = hessian @ v, Rough(hessian) @ v
    # Three roundings of 2^-9 each, and slopes that cancel where heads are confident.
    scale = float(v.norm()) * float(torch.linalg.eigvalsh(case.hessian)[-1])
    assert float((rough - exact).norm()) < 0.03 * scale
    assert float(rough.sum(dim=0).abs().max()) < 1e-12
    sharded = ShardedHessian([LastLayerHessian(*part) for part in cut(case, 3)])
    assert float((Rough(sharded) @ v - exact).norm()) < 0.03 * scale


@each_case
def test_kronecker_factors_have_the_trace_of_the_hessian(case: Case):
    sums = factor_sums(case.h1, case.probs)
    trace = float(case.hessian.trace())
    assert sums.trace / sums.num_samples == pytest.approx(trace)
    product = float(sums.classes.trace() * sums.features.trace())
    assert product / sums.trace / sums.num_samples == pytest.approx(trace)
    parts = [factor_sums(*part) for part in cut(case, 3)]
    added = sum(parts[1:], parts[0])
    torch.testing.assert_close(added.classes, sums.classes, **CLOSE)
    torch.testing.assert_close(added.features, sums.features, **CLOSE)


@each_case
def test_the_kronecker_inverse_is_symmetric_and_positive(case: Case):
    inverse = KroneckerInverse(case.operator.factor_sums(), case.damping)
    size = case.head.numel()
    units = torch.eye(size, dtype=torch.float64).view(size, *case.head.shape)
    matrix = (inverse @ units).view(size, size)
    torch.testing.assert_close(matrix, matrix.T, **CLOSE)
    assert float(torch.linalg.eigvalsh(matrix)[0]) > 0


def test_where_every_sample_has_the_same_doubt_the_kronecker_inverse_is_exact():
    case = CASES[0]
    probs = case.probs[:1].expand_as(case.probs)
    hessian = LastLayerHessian(case.h1, probs)
    inverse = KroneckerInverse(factor_sums(case.h1, probs), 0.1)
    # Lengths of h1 only weigh equal class blocks, so the product of means is the mean.
    v = case.random_head("v")
    torch.testing.assert_close(inverse @ (Damped(hessian, 0.1) @ v), v, **CLOSE)


@each_case
def test_product_equals_autograd(case: Case):
    v = case.random_head("v")
    truth = (case.hessian @ v.flatten()).view_as(v)
    close = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(case.operator @ v, truth, **close)
    torch.testing.assert_close(case.damped @ v, truth + case.damping * v, **close)


@each_case
def test_several_arrays_are_multiplied_at_once(case: Case):
    v = torch.stack([case.random_head(f"v{i}") for i in range(3)])
    one_by_one = torch.stack([case.operator @ each for each in v])
    torch.testing.assert_close(case.operator @ v, one_by_one, rtol=0, atol=1e-13)


@each_case
def test_chunks_do_not_change_the_product(case: Case, monkeypatch):
    v = case.random_head("v")
    expected = case.operator @ v
    monkeypatch.setattr("infaug.influence.hessian.CHUNK_SIZE", 4)
    torch.testing.assert_close(case.operator @ v, expected, rtol=0, atol=1e-13)


@each_case
def test_one_vector_in_every_class_row_is_a_null_direction(case: Case):
    for unit in torch.eye(case.h1.shape[1], dtype=torch.float64):
        v = unit.expand_as(case.head)
        assert float((case.operator @ v).norm()) < 1e-13


@each_case
def test_null_directions_number_at_least_one_per_feature_and_bias(case: Case):
    eigenvalues = torch.linalg.eigvalsh(case.hessian)
    num_null = int((eigenvalues < 1e-12 * eigenvalues[-1]).sum())
    num_inputs = case.h1.shape[1]
    assert num_null >= num_inputs
    if len(case.h1) >= 3 * num_inputs and case.head_scale == 1:
        # Samples in every direction, and doubt about each: nothing else is null.
        assert num_null == num_inputs


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
        Damped(CASES[0].operator, damping)

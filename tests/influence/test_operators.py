import pytest
import reference
import torch
from cases import CASES, Case

from infaug.influence.hessian import LastLayerHessian, Rough
from infaug.influence.kronecker import KroneckerInverse, factor_sums
from infaug.influence.operator import Damped
from infaug.influence.sharded import ShardedHessian

each_case = pytest.mark.parametrize("case", CASES, ids=str)
CLOSE = {"rtol": 1e-10, "atol": 1e-12}


def whole(case: Case) -> LastLayerHessian:
    return LastLayerHessian(case.h1, case.probs, case.weights)


def cut(case: Case, num_parts: int) -> list[tuple[torch.Tensor, ...]]:
    rows = torch.arange(len(case.h1)).tensor_split(min(num_parts, len(case.h1)))
    weights = () if case.weights is None else (case.weights,)
    return [tuple(t[r] for t in (case.h1, case.probs, *weights)) for r in rows]


@each_case
def test_shards_add_up_to_the_whole(case: Case):
    v = case.random_head("v")
    sharded = ShardedHessian([LastLayerHessian(*part) for part in cut(case, 3)])
    torch.testing.assert_close(sharded @ v, whole(case) @ v, **CLOSE)
    nested = sharded.product_sum(v) / sharded.total_weight
    assert nested.equal(sharded @ v)


def test_no_shard_is_refused():
    with pytest.raises(ValueError, match="at least one shard, got none"):
        ShardedHessian([])


@each_case
def test_rough_products_are_near_and_their_class_rows_sum_to_zero(case: Case):
    v, hessian = case.random_head("v"), whole(case)
    exact, rough = hessian @ v, Rough(hessian) @ v
    # Three roundings of 2^-9 each, and slopes that cancel where heads are confident.
    scale = float(v.norm()) * float(torch.linalg.eigvalsh(case.hessian)[-1])
    assert float((rough - exact).norm()) < 0.03 * scale
    assert float(rough.sum(dim=0).abs().max()) < 1e-12
    sharded = ShardedHessian([LastLayerHessian(*part) for part in cut(case, 3)])
    assert float((Rough(sharded) @ v - exact).norm()) < 0.03 * scale


@each_case
def test_kronecker_factors_have_the_trace_of_the_hessian(case: Case):
    sums = factor_sums(case.h1, case.probs, case.weights)
    trace = float(case.hessian.trace())
    assert sums.trace / sums.weight == pytest.approx(trace)
    product = float(sums.classes.trace() * sums.features.trace())
    assert product / sums.trace / sums.weight == pytest.approx(trace)
    parts = [factor_sums(*part[:2], *(part[2:] or (None,))) for part in cut(case, 3)]
    added = sum(parts[1:], parts[0])
    torch.testing.assert_close(added.classes, sums.classes, **CLOSE)
    torch.testing.assert_close(added.features, sums.features, **CLOSE)


@each_case
def test_the_kronecker_inverse_is_symmetric_and_positive(case: Case):
    inverse = KroneckerInverse(whole(case).factor_sums(), case.damping)
    size = case.head.numel()
    units = torch.eye(size, dtype=torch.float64).view(size, *case.head.shape)
    matrix = (inverse @ units).view(size, size)
    torch.testing.assert_close(matrix, matrix.T, **CLOSE)
    assert float(torch.linalg.eigvalsh(matrix)[0]) > 0


def test_where_every_sample_has_the_same_doubt_the_kronecker_inverse_is_exact():
    case = CASES[0]
    probs = case.probs[:1].expand_as(case.probs)
    hessian = LastLayerHessian(case.h1, probs)
    inverse = KroneckerInverse(factor_sums(case.h1, probs, None), 0.1)
    # Lengths of h1 only weigh equal class blocks, so the product of means is the mean.
    v = case.random_head("v")
    torch.testing.assert_close(inverse @ (Damped(hessian, 0.1) @ v), v, **CLOSE)


def test_the_reference_agrees_that_weights_scale_the_mean():
    case = next(c for c in CASES if c.is_weighted)
    truth = reference.hessian(case.head, case.h1, case.y, case.weights)
    v = case.random_head("v")
    torch.testing.assert_close(
        (truth @ v.flatten()).view_as(v), whole(case) @ v, **CLOSE
    )

import pytest
import torch
from cases import CASES

from infaug.config import InfluenceConfig
from infaug.influence.hessian import LastLayerHessian
from infaug.influence.operator import Damped
from infaug.influence.sharded import ShardedHessian
from infaug.influence.solve import resolve_solver, solve
from infaug.precision import has_fast_bfloat16

CPU = torch.device("cpu")
CASE = CASES[2]


def hessian() -> LastLayerHessian:
    return LastLayerHessian(CASE.h1, CASE.probs)


@pytest.mark.parametrize("name", ["auto", "dense", "cg", "pcg", "refined"])
@pytest.mark.parametrize("is_sharded", [False, True])
def test_every_solver_by_name_finds_s_val(name, is_sharded: bool):
    config = InfluenceConfig(solver=name, damping=CASE.damping, rtol=1e-8)
    operator = ShardedHessian([hessian()]) if is_sharded else hessian()
    solution = solve(operator, CASE.grad_val, config, torch.zeros_like(CASE.s_val))
    assert solution.converged
    atol = 1e-8 * float(CASE.grad_val.norm()) / CASE.damping
    torch.testing.assert_close(solution.value, CASE.s_val, rtol=0, atol=atol)


def test_lissa_by_name_comes_near():
    config = InfluenceConfig(solver="lissa", damping=0.1, rtol=1e-2, max_products=10**4)
    solution = solve(hessian(), CASE.grad_val, config, None, "test")
    assert solution.residual < 0.05
    assert solution.spread is not None


def test_auto_is_resolved_by_the_hardware():
    expected = "refined" if has_fast_bfloat16(CPU) else "pcg"
    assert resolve_solver(InfluenceConfig(), CPU) == expected
    assert resolve_solver(InfluenceConfig(solver="cg"), CPU) == "cg"


@pytest.mark.parametrize("name", ["pcg", "refined"])
def test_a_solver_that_needs_more_than_products_says_so(name):
    bare = Damped(hessian(), 0.1)
    with pytest.raises(ValueError, match="Kronecker factors, which Damped"):
        solve(bare, CASE.grad_val, InfluenceConfig(solver=name), None)

import pytest
import torch
from cases import CASES
from torch import Tensor, nn
from torch.nn import functional as F

from infaug.config import InfluenceConfig
from infaug.influence.features import check_deterministic, head_inputs
from infaug.influence.hessian import LastLayerHessian
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


class Tiny(nn.Module):
    """A classifier of 1 x 4 x 4 images: D = 5, Y = 3."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(16, 5), nn.BatchNorm1d(5))
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(5, 3)

    def features(self, x: Tensor) -> Tensor:
        return self.dropout(self.body(x))


class AlwaysDropping(Tiny):
    """Drops features in eval mode as well."""

    def features(self, x: Tensor) -> Tensor:
        return F.dropout(self.body(x), 0.5, training=True)


@pytest.fixture
def x() -> Tensor:
    return torch.rand(10, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def test_they_are_features_a_one_and_probabilities(x: Tensor):
    classifier = Tiny().eval()
    h1, probs = head_inputs(classifier, x, batch_size=3)
    h = classifier.features(x)
    torch.testing.assert_close(h1[:, :5], h)
    assert torch.equal(h1[:, 5], torch.ones(10))
    torch.testing.assert_close(probs, classifier.head(h).softmax(dim=1))
    assert not h1.requires_grad
    assert not probs.requires_grad


def test_autocast_does_not_lower_the_precision(x: Tensor):
    classifier = Tiny().eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = head_inputs(classifier, x, batch_size=10)
    for a, b in zip(inside, head_inputs(classifier, x, batch_size=10), strict=True):
        assert a.dtype == torch.float32
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("stored", "returned"),
    [(torch.bfloat16, torch.float32), (torch.float64, torch.float64)],
)
def test_they_are_float32_or_wider(x: Tensor, stored, returned):
    h1, probs = head_inputs(Tiny().eval().to(stored), x, batch_size=4)
    assert h1.dtype == probs.dtype == returned


def test_training_mode_is_refused(x: Tensor):
    classifier = Tiny().eval()
    classifier.dropout.train()
    with pytest.raises(ValueError, match=r"training mode \(dropout\): call \.eval"):
        head_inputs(classifier, x, batch_size=4)
    with pytest.raises(ValueError, match="training mode"):
        check_deterministic(Tiny(), x)


def test_dropout_in_eval_mode_is_caught(x: Tensor):
    with pytest.raises(ValueError, match="dropout, batch statistics and random"):
        check_deterministic(AlwaysDropping().eval(), x)

import pytest
import torch

from infaug.config import TransformConfig
from infaug.estimate.learned_transform import Estimator, build_transform


def test_layers_are_the_papers_tables():
    grey, colour = Estimator(128, 1, 28, 28), Estimator(128, 3, 32, 32)
    assert [m.out_channels for m in (grey.first, *grey.down)] == [16, 32, 64]
    assert grey.linear.in_features == 3136
    assert [m.out_channels for m in (colour.first, *colour.down)] == [16, 32, 64, 128]
    assert colour.linear.in_features == 2048


@pytest.mark.parametrize("size", [(16, 16), (28, 28), (33, 47), (5, 6)])
def test_tau_lies_within_one_whatever_the_size(size):
    tau = Estimator(12, 3, *size)(10 * torch.rand(4, 3, *size))
    assert tau.shape == (4, 12)
    assert tau.abs().max() <= 1


def test_one_view_is_differentiable_in_every_parameter_of_e_and_g():
    transform = build_transform(TransformConfig(tau_size=8), 1, 12, 12, 0)
    x = torch.rand(4, 1, 12, 12)
    transform(x, torch.randn(4, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in transform.parameters())


def test_the_initial_transform_is_a_function_of_the_seed():
    a, b, c = (
        build_transform(TransformConfig(tau_size=8), 1, 12, 12, s) for s in (0, 0, 1)
    )
    assert a.generator.out.weight.equal(b.generator.out.weight)
    assert not a.generator.out.weight.equal(c.generator.out.weight)

import pytest
import torch

from infaug.config import AdversarialConfig, AffineRanges, TransformConfig
from infaug.estimate.learned_transform import build_transform, random_tau
from infaug.randomness import Draws
from infaug.transform.affine_flows import random_affine_flows, start_covariance
from infaug.transform.spatial import flow_of


def test_a_fit_begins_with_the_covariance_of_the_real_flows():
    config, settings = TransformConfig(tau_size=32), AdversarialConfig(start_share=1)
    generator = build_transform(config, 1, 16, 16, 0).generator
    generator.condition(
        random_tau(32, 0), start_covariance(config, settings, 1, 16, 16)
    )
    fields = generator(Draws.of_size(1000, "tau").uniform(-1, 1, 32))
    ours = flow_of(fields.matrix, fields.offset).detach().flatten(1)
    real = random_affine_flows(
        Draws.of_size(1000, "real"), AffineRanges(), 16, 16
    ).flatten(1)
    # tanh takes a little from the widest; correlations are those of affine maps.
    away = torch.linalg.matrix_norm(ours.T.cov() - real.T.cov())
    assert away < 0.2 * torch.linalg.matrix_norm(real.T.cov())


NONE = {"degrees": 0.0, "shear_deg": 0.0, "scale": (1.0, 1.0), "translate": 0.0}


@pytest.mark.parametrize(
    ("ranges", "strengths"),
    [
        *(({name: zero}, {}) for name, zero in NONE.items()),
        (NONE, {}),
        (NONE, {"matrix_strength": 0.0}),
        (NONE, {"offset_strength": 0.0}),
    ],
)
def test_a_fit_begins_also_where_a_range_or_a_strength_is_zero(ranges, strengths):
    config = TransformConfig(tau_size=32, **strengths)
    settings = AdversarialConfig(affine=AffineRanges(**ranges))
    generator = build_transform(config, 1, 16, 16, 0).generator
    covariance, tau = start_covariance(config, settings, 1, 16, 16), random_tau(32, 0)
    generator.condition(tau, covariance)
    before_tanh = generator.pooled(tau).detach().double().transpose(0, 1).flatten(1)
    torch.testing.assert_close(before_tanh.cov(), covariance, atol=1e-4, rtol=1e-4)


def test_the_share_scales_the_flows_and_leaves_the_colours():
    config = TransformConfig(initial_spread=0.5)
    whole, half = (
        start_covariance(config, AdversarialConfig(start_share=share), 1, 16, 16)
        for share in (1.0, 0.5)
    )
    torch.testing.assert_close(half[:6, :6], whole[:6, :6] / 4)
    torch.testing.assert_close(half[6:, 6:], 0.25 * torch.eye(2).double())
    # Rotations: the off-diagonal entries of A are opposite.
    assert whole[1, 2] < -0.5 * (whole[1, 1] * whole[2, 2]).sqrt()

import math

import pytest
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as TF

from infaug.augment.geometric import inverse_affine
from infaug.config import AdversarialConfig, AffineRanges, TransformConfig
from infaug.estimate.learned_transform import build_transform, random_tau
from infaug.randomness import RandomNumbers
from infaug.transform.affine_flows import (
    AffineParameters,
    compose,
    decompose,
    fit_affine,
    random_affine_flows,
    random_parameters,
    start_covariance,
)
from infaug.transform.objective import NAMES, measure_reach, positions
from infaug.transform.spatial import affine_flow, flow_of, pixel_grid, warp


def parameters(**values) -> AffineParameters:
    """One map in float64: the identity but for the values."""
    whole = {"rotation_deg": [0.0], "shear_deg": [0.0]}
    whole |= {"scale": [[1.0, 1.0]], "translation": [[0.0, 0.0]]} | values
    return AffineParameters(
        **{k: torch.tensor(v, dtype=torch.float64) for k, v in whole.items()}
    )


def test_parameters_survive_the_way_to_a_flow_and_back():
    drawn = random_parameters(RandomNumbers.of_size(50, "affine"), AffineRanges())
    drawn = AffineParameters(**{k: v.double() for k, v in vars(drawn).items()})
    back = decompose(fit_affine(affine_flow(compose(drawn, 9, 14), 9, 14)), 9, 14)
    for name, value in vars(drawn).items():
        torch.testing.assert_close(getattr(back, name), value, rtol=0, atol=1e-10)


def test_random_flows_fill_their_ranges_and_stay_inside():
    ranges = AffineRanges()
    flows = random_affine_flows(RandomNumbers.of_size(2000, "affine"), ranges, 16, 16)
    found = decompose(fit_affine(flows), 16, 16)
    limits = {
        "rotation_deg": (-ranges.degrees, ranges.degrees),
        "shear_deg": (-ranges.shear_deg, ranges.shear_deg),
        "scale": ranges.scale,
        "translation": (-ranges.translate, ranges.translate),
    }
    for name, (low, high) in limits.items():
        value = getattr(found, name)
        slack = 1e-3 * (high - low)  # float32, and angles from arc tangents
        assert value.min() > low - slack, name
        assert value.max() < high + slack, name
        # Of 2,000 uniform draws the extremes lie within 1 % of the ends.
        assert value.max() - value.min() > 0.98 * (high - low), name


def test_signs_and_units_are_those_of_the_base_augmentation():
    ours = compose(
        parameters(rotation_deg=[25.0], shear_deg=[10.0], scale=[[0.9, 0.9]]), 8, 8
    )
    angle, shear = (
        torch.tensor([math.radians(25.0)]),
        torch.tensor([math.radians(10.0)]),
    )
    base = inverse_affine(angle.double(), shear.double(), torch.tensor([0.9]).double())
    torch.testing.assert_close(ours[:, :, :2], base, rtol=0, atol=1e-7)


def test_an_image_that_is_not_square_is_turned_as_torchvision_turns_it():
    x = torch.rand(1, 1, 12, 40, dtype=torch.float64)
    turned = compose(parameters(rotation_deg=[30.0]), 12, 40)
    out = warp(x, affine_flow(turned, 12, 40), padding="zeros")
    expected = TF.rotate(x, 30.0, interpolation=InterpolationMode.BILINEAR)
    torch.testing.assert_close(out, expected, atol=1e-6, rtol=0)


def test_the_eye_sees_the_translation():
    x = torch.rand(1, 1, 8, 8, dtype=torch.float64)
    moved = parameters(translation=[[0.25, -0.125]])  # two pixels right, one up
    out = warp(x, affine_flow(compose(moved, 8, 8), 8, 8), padding="zeros")
    torch.testing.assert_close(out[:, :, :-1, 2:], x[:, :, 1:, :-2])


def test_the_fit_is_torchs_least_squares_solution():
    flow = torch.randn(3, 7, 5, 2, dtype=torch.float64)
    design = torch.cat([pixel_grid(7, 5, flow), torch.ones(7, 5, 1)], dim=2)
    columns = design.view(1, -1, 3).expand(3, -1, -1)
    expected = torch.linalg.lstsq(columns, flow.flatten(1, 2)).solution
    torch.testing.assert_close(fit_affine(flow), expected.mT)


def test_a_fit_begins_with_the_covariance_of_the_real_flows():
    config, settings = TransformConfig(tau_size=32), AdversarialConfig(start_share=1)
    generator = build_transform(config, 1, 16, 16, 0).generator
    generator.condition(
        random_tau(32, 0), start_covariance(config, settings, 1, 16, 16)
    )
    fields = generator(RandomNumbers.of_size(1000, "tau").uniform(-1, 1, 32))
    ours = flow_of(fields.matrix, fields.offset).detach().flatten(1)
    real = random_affine_flows(
        RandomNumbers.of_size(1000, "real"), AffineRanges(), 16, 16
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


RANGES = AffineRanges()


def test_the_ends_of_the_ranges_stand_at_one():
    drawn = random_parameters(RandomNumbers.of_size(4000, "reach"), RANGES)
    found = positions(drawn, RANGES)
    assert tuple(found) == NAMES
    where = torch.stack(tuple(found.values()), dim=1)
    assert where.abs().max() <= 1 + 1e-5
    quantiles = where.quantile(where.new_tensor([0.05, 0.95]), dim=0)
    expected = torch.tensor([[-0.9], [0.9]], dtype=where.dtype).expand(2, 6)
    torch.testing.assert_close(quantiles, expected, rtol=0, atol=0.03)


def test_a_wider_generator_reaches_further_and_leaves_the_ranges():
    x = torch.rand(200, 1, 16, 16)
    narrow, wide = (
        measure_reach(
            build_transform(
                TransformConfig(tau_size=8, initial_spread=spread), 1, 16, 16, 0
            ).generator,
            x,
            RandomNumbers.of_size(200, "reach"),
            RANGES,
        )
        for spread in (0.02, 1.0)
    )
    assert narrow["inside"] == 1
    assert wide["inside"] < 0.2
    assert all(wide[f"{name}_high"] > narrow[f"{name}_high"] for name in NAMES)
    assert narrow["flow_mse"] < 1e-3 < wide["flow_mse"]
    assert narrow["image_mse"] < wide["image_mse"]


@pytest.mark.parametrize(
    ("ranges", "left"),
    [
        (AffineRanges(degrees=0.0, shear_deg=0.0), NAMES[2:]),
        (AffineRanges(scale=(1.0, 1.0), translate=0.0), NAMES[:2]),
        (AffineRanges(degrees=0.0, shear_deg=0.0, scale=(1.0, 1.0), translate=0.0), ()),
    ],
)
def test_what_has_no_range_is_not_measured_in_it(ranges, left):
    generator = build_transform(TransformConfig(tau_size=8), 1, 16, 16, 0).generator
    rng = RandomNumbers.of_size(20, "reach")
    found = measure_reach(generator, torch.rand(20, 1, 16, 16), rng, ranges)
    measured = {f"{name}_{end}" for name in left for end in ("low", "high")}
    assert set(found) == measured | {"inside", "flow_mse", "image_mse"}
    assert all(math.isfinite(value) for value in found.values())

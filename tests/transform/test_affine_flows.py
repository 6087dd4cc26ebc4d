import math

import pytest
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as TF

from infaug.augment.geometric import inverse_affine
from infaug.config import AffineRanges
from infaug.randomness import Draws
from infaug.transform.affine_flows import (
    AffineParameters,
    affine_flow,
    compose,
    decompose,
    fit_affine,
    random_affine_flows,
    random_parameters,
)
from infaug.transform.spatial import pixel_grid, warp


def parameters(**values) -> AffineParameters:
    """One map in float64: the identity but for the values."""
    whole = {"rotation_deg": [0.0], "shear_deg": [0.0]}
    whole |= {"scale": [[1.0, 1.0]], "translation": [[0.0, 0.0]]} | values
    return AffineParameters(
        **{k: torch.tensor(v, dtype=torch.float64) for k, v in whole.items()}
    )


def test_parameters_survive_the_way_to_a_flow_and_back():
    drawn = random_parameters(Draws.of_size(50, "affine"), AffineRanges())
    drawn = AffineParameters(**{k: v.double() for k, v in vars(drawn).items()})
    back = decompose(fit_affine(affine_flow(compose(drawn, 9, 14), 9, 14)), 9, 14)
    for name, value in vars(drawn).items():
        torch.testing.assert_close(getattr(back, name), value, rtol=0, atol=1e-10)


def test_random_flows_fill_their_ranges_and_stay_inside():
    ranges = AffineRanges()
    flows = random_affine_flows(Draws.of_size(2000, "affine"), ranges, 16, 16)
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


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scale": (1.2, 0.8)}, "affine.scale must be 0 < low <= high"),
        ({"degrees": -1.0}, "affine.degrees must be >= 0"),
        ({"shear_deg": 90.0}, r"affine.shear_deg must lie in \[0, 90\)"),
    ],
)
def test_impossible_ranges_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        AffineRanges(**values)

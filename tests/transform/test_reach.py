import math

import pytest
import torch

from infaug.config import AffineRanges, TransformConfig
from infaug.estimate.learned_transform import build_transform
from infaug.randomness import Draws
from infaug.transform.affine_flows import random_parameters
from infaug.transform.objective import NAMES, measure_reach, positions

RANGES = AffineRanges()


def test_the_ends_of_the_ranges_stand_at_one():
    drawn = random_parameters(Draws.of_size(4000, "reach"), RANGES)
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
            Draws.of_size(200, "reach"),
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
        (
            AffineRanges(degrees=0.0, shear_deg=0.0, scale=(1.0, 1.0), translate=0.0),
            (),
        ),
    ],
)
def test_what_has_no_range_is_not_measured_in_it(ranges, left):
    generator = build_transform(TransformConfig(tau_size=8), 1, 16, 16, 0).generator
    draws = Draws.of_size(20, "reach")
    found = measure_reach(generator, torch.rand(20, 1, 16, 16), draws, ranges)
    measured = {f"{name}_{end}" for name in left for end in ("low", "high")}
    assert set(found) == measured | {"inside", "flow_mse", "image_mse"}
    assert all(math.isfinite(value) for value in found.values())


def test_a_narrow_generators_positions_are_its_fields():
    """To first order: the eye sees minus half the offset, as a share of the side."""
    generator = build_transform(
        TransformConfig(tau_size=8, initial_spread=0.02), 1, 16, 16, 0
    ).generator
    draws = Draws.of_size(500, "reach")
    found = measure_reach(generator, torch.rand(500, 1, 16, 16), draws, RANGES)
    with torch.no_grad():
        fields = generator(Draws.of_size(500, "reach").uniform(-1, 1, 8))
    shift = -fields.offset[:, 0, 0, 0] / 2 / RANGES.translate
    assert found["translation_x_high"] == pytest.approx(
        float(shift.quantile(0.95)), rel=0.1
    )

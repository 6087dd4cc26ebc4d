import pytest
import torch

from infaug.config import AffineRanges, TransformConfig
from infaug.estimate.learned_transform import build_transform
from infaug.randomness import Draws
from infaug.transform.affine_flows import random_parameters
from infaug.transform.reach import NAMES, measure_reach, positions

RANGES = AffineRanges()


def test_the_ends_of_the_ranges_stand_at_one():
    drawn = random_parameters(Draws.of_size(4000, "reach"), RANGES)
    where = positions(drawn, RANGES)
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

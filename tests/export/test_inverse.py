import numpy as np
import pytest
import torch
from bent import bent_view
from scipy.interpolate import RegularGridInterpolator

from infaug.config import AffineRanges, TransformConfig
from infaug.estimate.learned_transform import build_transform
from infaug.export.inverse import TOLERANCE_PX, fold_share, invert
from infaug.randomness import RandomNumbers, generator
from infaug.transform.affine_flows import random_affine_flows
from infaug.transform.spatial import flow_of, pixel_grid

SIZE = 24


def dense_inverse(flow: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Places of a fine grid whose sources are closest to `points`: no iteration."""
    centres = (np.arange(SIZE) + 0.5) * 2 / SIZE - 1
    fine = np.linspace(centres[0], centres[-1], 20 * SIZE)
    ys, xs = np.meshgrid(fine, fine, indexing="ij")
    source = RegularGridInterpolator((centres, centres), flow)((ys, xs))
    at = [np.square(source - point).sum(axis=2).argmin() for point in points]
    return np.stack([xs.flat[at], ys.flat[at]], axis=1)


def test_inverse_agrees_with_a_dense_search_to_a_tenth_of_a_pixel():
    flows = bent_view(2, SIZE, SIZE, (2,)).flow
    # Sources of places inside the image, so that the answers lie inside.
    places = pixel_grid(SIZE, SIZE, like=flows)[6:-6:5, 6:-6:5].reshape(1, -1, 2)
    at = ((places + 1) * SIZE / 2).long()[0]
    sources = flows[:, at[:, 1], at[:, 0]]
    sources = sources + 0.02  # between the pixels
    inverse = invert(flows, sources)
    assert inverse.found.all()
    for flow, points, found in zip(flows, sources, inverse.points, strict=True):
        truth = dense_inverse(flow.numpy(), points.numpy())
        error_px = np.linalg.norm(found.numpy() - truth, axis=1) * SIZE / 2
        # The search is off by 0.025 px each way, half of its own grid, where the flow
        # does not stretch; by a little more where it does.
        assert error_px.max() < TOLERANCE_PX + 0.05


def test_inverse_undoes_affine_flows_everywhere_even_outside():
    flow = random_affine_flows(
        RandomNumbers.of_size(16, "flow"), AffineRanges(), 12, 20
    )
    points = torch.rand(16, 9, 2, generator=generator(0, "points")) * 4 - 2
    inverse = invert(flow.double(), points.double())
    assert inverse.found.all()
    grid = pixel_grid(12, 20, like=flow)
    ends = torch.linalg.lstsq(
        torch.cat([grid.reshape(-1, 2), torch.ones(240, 1)], 1).expand(16, -1, -1),
        flow.reshape(16, -1, 2),
    ).solution.double()
    there = torch.cat([inverse.points, torch.ones(16, 9, 1)], dim=2) @ ends
    torch.testing.assert_close(there, points.double(), atol=1e-4, rtol=0)


def test_a_bounded_flow_has_no_fold_and_every_point_is_found():
    for pooling in ("local", "global"):
        config = TransformConfig(tau_size=8, pooling=pooling, initial_spread=1.0)
        generate = build_transform(config, 1, SIZE, SIZE, 0).generator
        with torch.no_grad():
            fields = generate(torch.randn(32, 8, generator=generator(0, "tau")))
        flows = flow_of(fields.matrix, fields.offset)
        assert fold_share(flows).max() == 0
        points = torch.rand(32, 40, 2, generator=generator(0, "points")) * 1.6 - 0.8
        assert invert(flows, points).found.all()


def test_a_fold_is_the_share_where_the_jacobian_changes_its_sign():
    grid = pixel_grid(SIZE, SIZE, like=torch.zeros(()))
    x, y = grid.unbind(-1)
    # To the right of x = 0.5 the source is seen mirrored: a quarter of the image.
    folded = torch.stack([0.5 - (x - 0.5).abs(), y], dim=-1)
    mirrored = torch.stack([-x, y], dim=-1)
    share = fold_share(torch.stack([grid, folded, mirrored]))
    assert share[0] == 0
    assert share[1] == pytest.approx(0.25, abs=1 / SIZE)
    assert share[2] == 0  # one-to-one all the same

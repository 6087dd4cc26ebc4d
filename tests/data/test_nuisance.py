"""Nuisances: what changes, for which images, and that it can be drawn again."""

from dataclasses import replace

import pytest
import torch

from infaug.config import DataConfig, NuisanceConfig
from infaug.data.problem import load_splits
from infaug.data.shift import apply_nuisance, dilated, on_grey, rotated

KINDS = ("rotation", "background", "dilation")
SPLITS = ("train", "influence", "selection", "test")


def dot(row, column, side=9):
    x = torch.zeros(1, 1, side, side)
    x[0, 0, row, column] = 1
    return x


def images(count=300):
    rng = torch.Generator().manual_seed(0)
    return torch.randint(256, (count, 1, 8, 8), generator=rng).to(torch.uint8)


def test_no_nuisance_returns_the_input():
    x = images()
    assert apply_nuisance(x, NuisanceConfig(), 0) is x


@pytest.mark.parametrize("kind", KINDS)
def test_equal_keys_draw_equal_nuisances(kind):
    config, x = NuisanceConfig(kind=kind), images()
    first = apply_nuisance(x, config, 0, "test")
    assert first.equal(apply_nuisance(x, config, 0, "test"))
    assert not first.equal(apply_nuisance(x, config, 1, "test"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_image_has_a_nuisance_of_its_own(kind):
    stroke = torch.zeros(300, 1, 8, 8, dtype=torch.uint8)
    stroke[:, :, 1:5, 3:5] = 200
    found = apply_nuisance(stroke, NuisanceConfig(kind=kind), 0)
    num_different = len(found.flatten(1).unique(dim=0))
    assert num_different == 5 if kind == "dilation" else num_different > 100


def test_positive_rotation_is_counter_clockwise():
    turned = rotated(dot(4, 7), torch.tensor([90.0]))
    torch.testing.assert_close(turned, dot(1, 4), atol=1e-5, rtol=0)


def test_a_grey_background_leaves_white_strokes():
    x = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 1, 3)
    found = on_grey(x, torch.tensor([0.4]))
    torch.testing.assert_close(found.flatten(), torch.tensor([0.4, 0.7, 1.0]))


def test_a_dot_grows_to_a_square_and_shrinks_to_nothing():
    x = dot(4, 4).repeat(4, 1, 1, 1)
    found = dilated(x, torch.tensor([-1.0, 0.0, 1.0, 2.0]))
    assert found.sum(dim=(1, 2, 3)).tolist() == [0, 1, 4, 9]
    assert found[1].equal(x[1])


def test_every_split_is_changed_and_each_is_drawn_apart():
    config = DataConfig(labels=100.0)
    plain = load_splits(config)
    found = load_splits(replace(config, nuisance=NuisanceConfig(kind="rotation")))
    for name in SPLITS:
        before, after = getattr(plain, name), getattr(found, name)
        expected = apply_nuisance(
            before.images, NuisanceConfig(kind="rotation"), 0, name
        )
        assert after.images.equal(expected)
        assert after.labels.equal(before.labels)

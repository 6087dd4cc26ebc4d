"""Figure 3 of the ICLR 2019 submission, as claims."""

from dataclasses import replace
from statistics import mean

import pytest
import torch
from PIL import Image
from toy2d_figure import draw_toy
from toy2d_points import learn_translations, moved_down, overlapping, validation_loss


@pytest.fixture(scope="module")
def one_distribution():
    return [learn_translations(overlapping(seed), seed) for seed in range(3)]


@pytest.fixture(scope="module")
def shifted():
    return [learn_translations(moved_down(seed), seed) for seed in range(2)]


def test_tau_points_at_the_validation_points_that_are_missed(one_distribution):
    aims = [result.aim(result.missed) for result in one_distribution]
    assert min(aims) > 0
    assert mean(aims) > 0.5


@pytest.mark.slow
def test_without_the_missed_points_tau_points_there_less(one_distribution):
    seen, blind = [], []
    for seed, result in enumerate(one_distribution):
        points = result.points.without(result.missed)
        other = replace(learn_translations(points, seed), points=result.points)
        seen.append(result.aim(result.missed))
        blind.append(other.aim(result.missed))
    assert mean(seen) > mean(blind) + 0.2


def test_tau_follows_a_shift_of_validation_and_the_loss_falls(shifted):
    for result in shifted:
        tau = result.moved - result.points.train_points
        # Class 0 is what the shift carries over the border.
        assert tau[result.points.train_labels == 0, 1].mean() < -0.5
        before, after = (
            validation_loss(f, result.points) for f in (result.before, result.after)
        )
        assert after < before / 2


def test_the_same_seed_gives_the_same_translations(shifted):
    assert learn_translations(moved_down(0), 0).moved.equal(shifted[0].moved)


def test_the_figure_has_a_row_for_each_result(shifted, tmp_path):
    heights = []
    for count in (1, 2):
        path = tmp_path / f"{count}.png"
        draw_toy([("row", shifted[0])] * count, path)
        with Image.open(path) as picture:
            heights.append(picture.height)
    assert heights[1] > 1.6 * heights[0]


def errors(points, labels):
    """Part of the points on the wrong side of y = x, the best border of training."""
    above = points[:, 1] > points[:, 0]
    return (above != (labels == 0)).float().mean().item()


@pytest.mark.parametrize("seed", range(5))
def test_overlapping_validation_has_points_on_the_wrong_side(seed):
    toy = overlapping(seed)
    assert 0 < errors(toy.val_points, toy.val_labels) < 0.25


@pytest.mark.parametrize("seed", range(5))
def test_moving_validation_down_breaks_only_class_0(seed):
    toy = moved_down(seed)
    assert errors(toy.train_points, toy.train_labels) < 0.03
    broken = toy.val_labels == 0
    assert errors(toy.val_points[broken], toy.val_labels[broken]) > 0.1
    assert errors(toy.val_points[~broken], toy.val_labels[~broken]) < 0.03


def test_toy_points_are_a_function_of_the_seed():
    assert overlapping(0).val_points.equal(overlapping(0).val_points)
    assert not overlapping(0).val_points.equal(overlapping(1).val_points)
    assert not overlapping(0).val_points.equal(overlapping(0).train_points)


def test_the_move_is_all_that_changes():
    still, moved = moved_down(0, down=0.0), moved_down(0, down=2.0)
    assert still.train_points.equal(moved.train_points)
    step = still.val_points - moved.val_points
    assert torch.allclose(step, torch.tensor([0.0, 2.0]), atol=1e-6)

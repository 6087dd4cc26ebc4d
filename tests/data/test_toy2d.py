import pytest
import torch

from infaug.data.toy2d import moved_down, overlapping


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

"""Figure 3 of the ICLR 2019 submission, as claims."""

from dataclasses import replace
from statistics import mean

import pytest
from PIL import Image

from infaug.data.toy2d import moved_down, overlapping
from infaug.report.toy2d import draw_toy
from infaug.toy2d import learn_translations, validation_loss


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

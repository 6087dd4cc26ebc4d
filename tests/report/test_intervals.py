"""The scale of paired differences does not make much of nothing."""

import pytest

from infaug.experiment.verdict import Comparison
from infaug.report.intervals import draw_interval, draw_scale, shared_axis
from infaug.report.words import MINUS


def difference(value: float, half: float) -> Comparison:
    return Comparison("base_learned", "base", value, value - half, value + half, 3)


@pytest.mark.parametrize("value", [0.0, 0.0004, -0.02])
def test_differences_near_zero_stay_near_zero_on_a_scale_of_points(value):
    made = difference(value, 0.001)
    axis = shared_axis([made])
    assert axis.low <= -1
    assert axis.high >= 1
    assert axis.at(value) == pytest.approx(axis.at(0), abs=2)
    assert f">{MINUS}1<" in draw_scale(axis)
    assert "across" in draw_interval(difference(0.0, 0.001), axis)


def test_larger_ones_have_the_scale_they_need():
    axis = shared_axis([difference(8.0, 3.0)])
    assert axis.at(11.0) < axis.end
    assert axis.low > -3

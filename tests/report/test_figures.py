"""Figures that say no more than their numbers do, in the page's own colours."""

import re

import pytest
from matplotlib.figure import Figure

from infaug.experiment.verdict import Comparison
from infaug.report.figures import (
    draw_curves,
    draw_differences,
    plot_curves,
    plot_differences,
)
from infaug.report.logs import METRICS

TOP1, LOSS, _ = METRICS


@pytest.fixture
def axes():
    return Figure().add_subplot()


def marked(axes) -> int:
    (line,) = axes.lines
    return len(line.get_markevery())


def test_no_axis_of_a_share_goes_beyond_the_whole():
    for value, metric, end, at in ((100.0, TOP1, 1, 100), (0.0, LOSS, 0, 0)):
        axes = Figure().add_subplot()
        plot_curves({"base": [(1.0, value)]}, metric, None, axes)
        assert axes.get_ylim()[end] == at


def test_a_loss_that_falls_far_has_a_logarithmic_axis(axes):
    plot_curves({"base": [(1.0, 2.0), (2.0, 0.01)]}, LOSS, None, axes)
    assert axes.get_yscale() == "log"
    assert axes.get_title().endswith(", logarithmic")


def test_a_figure_has_a_label_and_no_colour_that_is_not_the_pages():
    svg = draw_curves({"base": [(1.0, 60.0), (2.0, 61.0)]}, TOP1)
    assert 'role="img" aria-label="Accuracy on selection images over 2 rounds.' in svg
    assert "stroke: var(--green)" in svg
    assert not re.search(r"#[0-9a-f]{6}\b", svg)
    assert ">rounds of training F</text>" in svg


def difference(value: float, half: float) -> Comparison:
    return Comparison("base_learned", "base", value, value - half, value + half, 3)


@pytest.mark.parametrize("value", [0.0, 0.0004, -0.02])
def test_differences_near_zero_stay_near_zero_on_a_scale_of_points(axes, value):
    plot_differences([difference(value, 0.001)], axes)
    low, high = axes.get_xlim()
    assert low < -1
    assert high > 1


def test_larger_ones_have_the_scale_they_need_and_wide_intervals_are_cut(axes):
    plot_differences([difference(8.0, 3.0), difference(1.0, 500.0)], axes)
    assert 24 < axes.get_xlim()[1] < 30


@pytest.mark.parametrize(
    ("value", "colour"), [(5.0, "blue"), (-5.0, "red"), (0.5, "grey")]
)
def test_an_interval_is_coloured_by_the_side_of_zero_it_lies_on(value, colour):
    svg = draw_differences([difference(value, 1.0)])
    assert f"stroke: var(--{colour}); stroke-width: 2" in svg

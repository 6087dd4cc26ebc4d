"""Curves that say no more than their points do."""

import re

import pytest

from infaug.report.curves import MOST_MARKED, WANTED, draw_curves

TOP1, LOSS, _ = WANTED


def dots(chart: str) -> int:
    return chart.count("<circle")


def ticks(chart: str, place: str) -> list[str]:
    return re.findall(rf'class="tick {place}"[^>]*>([^<]*)<', chart)


def test_a_single_point_is_a_dot_and_no_line():
    chart = draw_curves({"base": [(1.0, 60.0)]}, TOP1)
    assert dots(chart) == 1
    assert '<path class="curve' not in chart


def test_few_points_are_marked_and_many_are_not():
    few = [(k / 4, 60.0 + k) for k in range(1, MOST_MARKED + 1)]
    many = [(k / 8, 60.0 + k) for k in range(1, MOST_MARKED + 2)]
    assert dots(draw_curves({"base": few}, TOP1)) == MOST_MARKED
    assert dots(draw_curves({"base": many}, TOP1)) == 1


@pytest.mark.parametrize(
    ("rounds", "wanted"),
    [(0.3, ["0", "1"]), (2.0, ["0", "1", "2"]), (2.5, ["0", "1", "2", "3"])],
)
def test_only_whole_rounds_have_ticks(rounds, wanted):
    chart = draw_curves({"base": [(rounds, 60.0)]}, TOP1)
    assert ticks(chart, "middle") == wanted


def test_what_hardly_differs_looks_as_if_it_hardly_differs():
    even = {"base": [(1.0, 60.0), (2.0, 60.001)]}
    heights = re.findall(r'cy="([\d.]+)"', draw_curves(even, TOP1))
    assert abs(float(heights[0]) - float(heights[1])) < 0.2
    assert ticks(draw_curves(even, TOP1), "end") == ["59", "59.5", "60", "60.5", "61"]


def test_no_axis_of_a_share_goes_beyond_the_whole():
    assert ticks(draw_curves({"base": [(1.0, 100.0)]}, TOP1), "end")[-1] == "100"
    assert ticks(draw_curves({"base": [(1.0, 0.0)]}, LOSS), "end")[0] == "0"

import numpy as np
import pytest
from scipy import stats

from infaug.experiment.verdict import compare, comparisons, verdict

CONTROLS = {
    "none": [50.0, 51.0, 52.0],
    "base": [70.0, 71.0, 69.0],
    "base_random": [71.0, 70.0, 70.0],
}


def test_the_interval_is_the_paired_t_interval():
    a, b = [3.0, 5.0, 4.0, 6.0], [1.0, 2.0, 4.0, 3.0]
    found = compare("a", "b", {"a": a, "b": b})
    low, high = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.difference == pytest.approx(np.mean(np.subtract(a, b)))


def test_a_gain_holds_against_every_control():
    words = verdict({**CONTROLS, "base_learned": [80.0, 80.5, 80.2]})
    assert words.startswith("gain: base_learned is +9.90")
    assert "closest control base_random" in words
    assert words.endswith("controls not run: `base_tuned`")


def test_one_control_as_good_makes_it_no_gain():
    rows = {**CONTROLS, "base_learned": [80.0, 80.5, 80.2]}
    rows["base_random"] = [81.0, 80.5, 80.6]
    assert verdict(rows).startswith("no gain")


def test_an_interval_around_zero_is_undecided():
    words = verdict({**CONTROLS, "base_learned": [71.1, 73.0, 69.5]})
    assert words.startswith("undecided")


def test_two_seeds_are_undecided_however_clear_and_it_says_how_many_lack():
    rows = {k: v[:2] for k, v in CONTROLS.items()} | {"base_learned": [99.0, 99.1]}
    words = verdict(rows)
    assert words.startswith("undecided")
    assert "at least 1 more seed needed" in words


def test_without_controls_nothing_is_claimed():
    words = verdict({"base_learned": [99.0, 99.0, 99.0]})
    assert words.startswith("undecided: base_learned was compared with nothing")
    assert "`none`, `base`, `base_random`" in words


def test_the_oracle_is_no_control_and_without_learned_rows_nothing_is_claimed():
    rows = {**CONTROLS, "oracle": [99.0, 99.0, 99.0]}
    assert verdict(rows) == "undecided: no learned row was run"
    learned = {**rows, "base_learned": [80.0, 80.5, 80.2]}
    assert verdict(learned).startswith("gain")


def test_pooled_learned_speaks_for_the_run_and_must_beat_pooling():
    rows = {
        **CONTROLS,
        "base_learned": [80.0, 80.0, 80.0],
        "pooled": [88.0, 88.1, 87.9],
        "pooled_learned": [93.0, 93.1, 93.3],
    }
    assert "closest control pooled " in verdict(rows)
    made = {(c.row, c.control) for c in comparisons(rows)}
    assert ("base_learned", "base_random") in made
    assert ("pooled_learned", "base") in made


def test_every_other_method_that_was_run_must_be_beaten():
    rows = {**CONTROLS, "base_learned": [80.0, 80.5, 80.2]}
    rows["mixup"] = [82.0, 81.5, 82.6]
    assert verdict(rows).startswith("no gain")
    assert "closest control mixup" in verdict(rows)
    assert "mixup" not in verdict({k: v for k, v in rows.items() if k != "mixup"})


def test_a_rival_that_learns_is_a_control_of_ours_and_speaks_only_without_them():
    rows = {**CONTROLS, "base_learned": [80.0, 80.5, 80.2]}
    rows |= {"bilevel_learned": [81.0, 80.9, 81.3], "reweighted": [70.5, 71.0, 70.0]}
    assert verdict(rows).startswith("no gain: base_learned")
    assert "closest control bilevel_learned" in verdict(rows)
    made = {(c.row, c.control) for c in comparisons(rows)}
    assert ("bilevel_learned", "base_random") in made
    assert ("bilevel_learned", "reweighted") in made
    assert not {c for c in made if c[0] == c[1] or c[1] == "base_learned"}
    del rows["base_learned"]
    assert verdict(rows).startswith("gain: bilevel_learned")


def test_a_method_s_learned_row_must_beat_the_row_without_e():
    rows = {**CONTROLS, "trivial_learned": [80.0, 80.5, 80.2]}
    assert "controls not run: `base_tuned`, `trivial`" in verdict(rows)
    rows["trivial"] = [79.9, 80.6, 80.2]
    assert verdict(rows).startswith("no gain: trivial_learned")


def test_a_view_that_was_given_up_everywhere_is_no_gain_whatever_the_numbers():
    rows = {"base": [90.0, 90.0, 90.0], "base_learned": [95.0, 95.0, 95.1]}
    said = verdict(rows, {"base_learned": [0, 1, 2]})
    assert said.startswith("no gain: keep the base augmentation")
    assert "seed 1" in verdict(rows, {"base_learned": [1]})
    one = {row: values[:1] for row, values in rows.items()}
    assert verdict(one, {"base_learned": [0]}).startswith("undecided: keep the base")

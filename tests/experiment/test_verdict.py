import numpy as np
import pytest
from scipy import stats

from infaug.experiment.verdict import (
    Verdict,
    best_random,
    compare,
    comparisons,
    verdict,
    with_best_random,
)
from infaug.report.verdict import describe

CONTROLS = {
    "none": [50.0, 51.0, 52.0],
    "base": [70.0, 71.0, 69.0],
    "base_random": [71.0, 70.0, 70.0],
}


def by_seed(tops):
    return {name: dict(enumerate(values)) for name, values in tops.items()}


def judged(tops, **kwargs):
    return verdict(by_seed(tops), **kwargs)


def test_the_interval_is_the_paired_t_interval():
    a, b = [3.0, 5.0, 4.0, 6.0], [1.0, 2.0, 4.0, 3.0]
    found = compare("a", "b", {"a": a, "b": b})
    low, high = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.difference == pytest.approx(np.mean(np.subtract(a, b)))


def test_a_gain_holds_against_every_control():
    found = judged({**CONTROLS, "base_learned": [80.0, 80.5, 80.2]})
    assert (found.word, found.method, found.closest) == (
        "gain",
        "base_learned",
        "base_random",
    )
    assert found.difference == pytest.approx(9.9, abs=0.01)
    assert found.missing == ("pooled", "base_tuned")
    words = describe(found)
    assert words.startswith("gain: base_learned is +9.90 points against its closest")
    assert words.endswith("controls not run: `pooled`, `base_tuned`")


def test_pooling_the_same_labels_must_be_beaten_by_every_learned_method():
    tops = {**CONTROLS, "pooled": [90.0, 90.1, 89.9]}
    for method in ("base_learned", "trivial_learned", "mixup_learned", "learned"):
        found = judged({**tops, method: [80.0, 80.5, 80.2]})
        assert (found.word, found.closest) == ("no gain", "pooled")


def test_no_gain_needs_an_upper_bound_below_the_margin():
    base = [80.0, 81.0, 82.0]
    narrow = {"base": base, "base_learned": [80.0, 81.1, 82.0]}
    wide = {"base": base, "base_learned": [79.0, 82.0, 81.5]}
    assert judged(narrow).word == "no gain"
    found = judged(wide)
    assert found.difference == pytest.approx(-1 / 6)
    assert describe(found).startswith(f"undecided, at most +{found.high:.2f} points: ")


def test_two_seeds_are_undecided_however_clear_and_it_says_how_many_lack():
    tops = {k: v[:2] for k, v in CONTROLS.items()} | {"base_learned": [99.0, 99.1]}
    words = describe(judged(tops))
    assert words.startswith("undecided: ")
    assert "at least 1 more seed needed" in words


def test_without_controls_nothing_is_claimed():
    words = describe(judged({"base_learned": [99.0, 99.0, 99.0]}))
    assert words.startswith("undecided: base_learned was compared with nothing")
    assert "`none`, `base`, `base_random`" in words


def test_the_oracle_is_no_control_and_without_learned_methods_nothing_is_claimed():
    tops = {**CONTROLS, "oracle": [99.0, 99.0, 99.0]}
    assert describe(judged(tops)) == "undecided: no learned method was run"
    assert judged({**tops, "base_learned": [80.0, 80.5, 80.2]}).word == "gain"


def test_pooled_learned_is_the_headline_method():
    tops = by_seed({
        **CONTROLS,
        "base_learned": [80.0, 80.0, 80.0],
        "pooled": [88.0, 88.1, 87.9],
        "pooled_learned": [93.0, 93.1, 93.3],
    })  # fmt: skip
    assert verdict(tops).closest == "pooled"
    made = {(c.method, c.control) for c in comparisons(tops)}
    assert ("base_learned", "base_random") in made
    assert ("pooled_learned", "base") in made


def test_a_rival_that_learns_is_a_control_and_headlines_only_without_ours():
    tops = {**CONTROLS, "base_learned": [80.0, 80.5, 80.2]}
    tops |= {"bilevel_learned": [82.0, 82.5, 82.3], "reweighted": [70.5, 71.0, 70.0]}
    found = judged(tops)
    assert (found.word, found.method, found.closest) == (
        "no gain",
        "base_learned",
        "bilevel_learned",
    )
    made = {(c.method, c.control) for c in comparisons(by_seed(tops))}
    assert ("bilevel_learned", "base_random") in made
    assert ("bilevel_learned", "reweighted") in made
    assert not {c for c in made if c[0] == c[1] or c[1] == "base_learned"}
    del tops["base_learned"]
    assert judged(tops).method == "bilevel_learned"
    assert judged(tops).word == "gain"


def test_a_learned_method_must_beat_the_policy_it_stands_on():
    tops = {**CONTROLS, "trivial_learned": [80.0, 80.5, 80.2]}
    assert judged(tops).missing == ("pooled", "base_tuned", "trivial")
    tops["trivial"] = [79.9, 80.6, 80.2]
    assert judged(tops).word == "no gain"


def test_a_view_that_was_given_up_everywhere_is_no_gain_whatever_the_numbers():
    tops = {"base": [90.0, 90.0, 90.0], "base_learned": [95.0, 95.0, 95.1]}
    found = judged(tops, given_up={"base_learned": [0, 1, 2]})
    assert describe(found).startswith("no gain: keep the base augmentation")
    assert "seed 1" in describe(judged(tops, given_up={"base_learned": [1]}))
    one = {name: values[:1] for name, values in tops.items()}
    found = judged(one, given_up={"base_learned": [0]})
    assert describe(found).startswith("undecided: keep the base")


def test_a_verdict_survives_json_and_its_notes_are_worded():
    notes = {"looks": [3, 5], "chance": 33.3}
    found = judged({"base": [30.0], "base_learned": [31.0]}, notes=notes)
    assert Verdict.from_dict(found.to_dict()) == found
    assert found.low is None  # JSON has no infinity
    assert "no method is far above chance (33 %)" in describe(found)
    assert "after a look at 3 and at 5, so the interval" in describe(found)


def test_random_tau_is_chosen_by_selection_loss_and_ties_go_to_the_stronger():
    def record(loss, selection, test):
        return {
            "selection_loss": loss,
            "selection_top1": selection,
            "test_top1": test,
        }

    found = {
        "base_random_initial": {0: record(0.3, 90, 80), 1: record(0.5, 90, 85)},
        "base": {0: record(0.9, 50, 50)},
        "base_random_final": {
            0: record(0.4, 95, 99),
            1: record(0.5, 90, 86),
            2: record(0.1, 99, 99),
        },
    }
    best = best_random(found)
    assert {seed: r["test_top1"] for seed, r in best.items()} == {0: 80, 1: 86}
    assert list(with_best_random(found)) == ["base_random", "base"]


def test_a_learned_policy_must_beat_the_uniform_one_and_even_pooling():
    tops = {name: [70.0, 71.0, 69.0] for name in ("base", "uniform_policy")}
    ahead = judged({**tops, "pooled_policy": [80.0, 80.5, 80.2]})
    assert (ahead.word, ahead.method) == ("gain", "pooled_policy")
    assert {"pooled", "pooled_even", "pooled_uniform"} < set(ahead.missing)
    even = judged(
        {**tops, "pooled_policy": [80.0, 80.5, 80.2], "pooled_even": [81.0, 80.9, 81.2]}
    )
    assert (even.word, even.closest) == ("no gain", "pooled_even")

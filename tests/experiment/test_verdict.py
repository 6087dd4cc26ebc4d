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


OURS = [80.0, 80.5, 80.2]


def test_a_gain_holds_against_every_control_that_was_run_and_the_oracle_is_none():
    found = judged({**CONTROLS, "base_learned": OURS, "oracle": [99.0, 99.0, 99.0]})
    assert (found.word, found.method) == ("gain", "base_learned")
    assert found.closest == "base_random"
    assert found.difference == pytest.approx(9.9, abs=0.01)
    assert found.missing == ("pooled", "base_tuned")
    words = describe(found)
    assert words.startswith("gain: base_learned is +9.90 points against its closest")
    assert words.endswith("controls not run: `pooled`, `base_tuned`")


OF_LEARNED = ("base_learned", "trivial_learned", "mixup_learned", "learned")


@pytest.mark.parametrize(
    ("method", "control", "against"),
    [
        *((method, "pooled", [90.0, 90.1, 89.9]) for method in OF_LEARNED),
        ("trivial_learned", "trivial", [79.9, 80.6, 80.2]),
        ("pooled_learned", "base", [90.0, 90.1, 89.9]),
        ("base_learned", "bilevel_learned", [82.0, 82.5, 82.3]),
        ("pooled_policy", "uniform_policy", [81.0, 80.9, 81.2]),
        ("pooled_policy", "pooled_even", [81.0, 80.9, 81.2]),
    ],
)
def test_each_learned_method_must_beat_its_own_controls(method, control, against):
    """Those that reach the same labels, the policy it stands on, rivals that learn."""
    others = {k: v for k, v in CONTROLS.items() if k != control}
    found = judged({**others, method: OURS})
    assert (found.word, found.method) == ("gain", method)
    found = judged({**others, method: OURS, control: against})
    assert (found.word, found.method, found.closest) == ("no gain", method, control)


def test_every_learned_method_is_compared_and_none_with_itself_or_ours():
    tops = {**CONTROLS, "base_learned": OURS, "bilevel_learned": OURS}
    tops |= {"reweighted": [70.5, 71.0, 70.0], "pooled": [70.0, 70.1, 69.9]}
    made = {(c.method, c.control) for c in comparisons(by_seed(tops))}
    assert {
        ("base_learned", "base_random"), ("base_learned", "reweighted"),
        ("bilevel_learned", "base_random"), ("bilevel_learned", "reweighted"),
    } < made  # fmt: skip
    assert not {c for c in made if c[0] == c[1] or c[1] == "base_learned"}
    del tops["base_learned"]
    assert judged(tops).method == "bilevel_learned", "a rival headlines without ours"


def test_no_gain_needs_an_upper_bound_below_the_margin():
    base = [80.0, 81.0, 82.0]
    narrow = {"base": base, "base_learned": [80.0, 81.1, 82.0]}
    wide = {"base": base, "base_learned": [79.0, 82.0, 81.5]}
    assert judged(narrow).word == "no gain"
    found = judged(wide)
    assert found.difference == pytest.approx(-1 / 6)
    assert describe(found).startswith(f"undecided, at most +{found.high:.2f} points: ")


def test_too_few_seeds_and_no_controls_are_undecided():
    tops = {k: v[:2] for k, v in CONTROLS.items()} | {"base_learned": [99.0, 99.1]}
    words = describe(judged(tops))
    assert words.startswith("undecided: ")
    assert "at least 1 more seed needed" in words
    words = describe(judged({"base_learned": [99.0, 99.0, 99.0]}))
    assert words.startswith("undecided: base_learned was compared with nothing")
    assert "`none`, `base`, `base_random`" in words


def test_without_a_learned_method_there_is_nothing_to_decide():
    assert judged(CONTROLS).word == "none"
    assert describe(judged(CONTROLS)) == "none: no learned method was run"


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
    def record(loss, top1, test):
        return {"selection_loss": loss, "selection_top1": top1, "test_top1": test}

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

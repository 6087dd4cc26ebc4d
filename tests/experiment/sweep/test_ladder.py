"""Trials climb a ladder of problems: who goes on, what it costs, who leads."""

from dataclasses import replace

import pytest

from infaug.config import RunConfig, SweepConfig
from infaug.experiment.sweep.cost import costs_of, share_taken, work_of
from infaug.experiment.sweep.ladder import climb, problems_of
from infaug.experiment.sweep.plan import Sweep
from infaug.experiment.sweep.results import agreement_of
from infaug.experiment.sweep.space import Choice
from infaug.report.sweep import describe_costs

from .cases import progress, sweep

LADDER = ("rounds.rounds=1,data.image_size=8", "rounds.rounds=2")


def problems(out, trials=18, **how) -> list[Sweep]:
    found = problems_of(sweep(out, trials=trials, ladder=LADDER, **how))
    for problem in (found[-1], *found[:-1]):
        problem.enter()
    return found


def by_number(sign: float = 1.0):
    """Trials whose loss is their number, or falls with it."""

    def run(problem: Sweep, left: int) -> None:
        ledger = problem.ledger()
        for name in ledger.open_of(problem.names):
            if name not in ledger.trials:
                ledger.propose(name, {"influence.damping": float(name[1:])})
            loss = sign * float(name[1:])
            ledger.report(name, progress(problem.steps, loss), {}, name)
            ledger.finish(name, "completed")

    return run


def test_cheaper_problems_come_first_each_in_its_own_folder(tmp_path):
    first, second, last = problems(tmp_path / "sweep")
    assert (first.steps, second.steps, last.steps) == (3, 6, 12)
    assert first.config.data.image_size == 8
    assert first.out == tmp_path / "sweep" / "ladder" / "1"
    assert second.config == replace(
        last.config, rounds=replace(last.config.rounds, rounds=2)
    )
    with pytest.raises(ValueError, match=r"'data.pixels' is not a setting"):
        problems_of(sweep(tmp_path, ladder=("data.pixels=8",)))
    with pytest.raises(ValueError, match="give name=value,name=value"):
        problems_of(sweep(tmp_path, ladder=("8",)))


def test_one_in_three_goes_on_and_the_first_settings_in_any_case(tmp_path):
    ladder = problems(tmp_path / "sweep")
    first, second, last = climb(ladder, by_number(-1.0))
    assert len(first.names) == 18
    assert second.names == ["t00", *(f"t{n}" for n in range(12, 18))]
    assert last.names == ["t00", "t15", "t16", "t17"]
    assert last.ledger().trials["t15"].changes == {"influence.damping": 15.0}


def test_more_trials_climb_and_those_who_came_before_stay(tmp_path):
    climb(problems(tmp_path / "sweep", trials=6), by_number(-1.0))
    more = climb(problems(tmp_path / "sweep", trials=9), by_number(-1.0))
    assert more[1].names == ["t00", "t04", "t05", "t06", "t07", "t08"]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_problems_agree_where_the_same_trials_lead(sign, tmp_path):
    ladder = problems(tmp_path / "sweep")

    def run(problem, left):
        by_number(sign if left == 1 else 1.0)(problem, left)

    first, second, last = climb(ladder, run)
    found = agreement_of(first, second)
    assert found["spearman"] == pytest.approx(sign)
    assert found["num_trials"] == 6 if sign > 0 else 7
    assert agreement_of(second, last) is None, "three are too few to tell"


def test_who_failed_stays_behind(tmp_path):
    ladder = problems(tmp_path / "sweep", trials=3)

    def run(problem, left):
        ledger = problem.ledger()
        for name in ledger.open_of(problem.names):
            if name not in ledger.trials:
                ledger.propose(name, {})
            ledger.report(name, progress(3, 1.0), {}, name)
            ledger.finish(name, "failed" if name == "t00" else "completed")

    assert climb(ladder, run)[1].names == ["t01"]


def test_a_sweep_costs_what_its_trials_are_expected_to_take(tmp_path):
    """Milestones after 3 and 9 of 12 steps: 3 + 6 / 3 + 3 / 9 steps of 12."""
    asha = sweep(tmp_path, grace=0.25, reduction=3)
    assert share_taken(asha, 24) == pytest.approx((3 + 2 + 1 / 3) / 12)
    assert share_taken(asha, 3) == pytest.approx((3 + 2 + 3 / 3) / 12), "one ends"
    assert share_taken(sweep(tmp_path, scheduler="pbt"), 24) == 1
    # Two, one and no milestone: 3, 1.5 and 1 of 5.5 trials.
    shares = (3 + 2 + 1 / 3, 9 + 1, 12)
    expected = sum(w * s for w, s in zip((3, 1.5, 1), shares, strict=True)) / 5.5 / 12
    both = share_taken(sweep(tmp_path, scheduler="hyperband"), 24)
    assert both == pytest.approx(expected)

    ladder = problems_of(sweep(tmp_path, trials=18, ladder=LADDER, scheduler="none"))
    costs = costs_of(ladder, lambda config: float(config.rounds.rounds))
    assert [(c.trials, c.one) for c in costs] == [(18, 1), (7, 2), (4, 4)]
    lines = describe_costs(ladder, lambda config: float(config.rounds.rounds), 5)
    assert lines[-1] == (
        "in all 48 GPU-hours (estimate); 72 if all trials were trained in full; "
        "--confirm 5 adds 40 at most"
    )


def test_work_counts_pixels_steps_and_views():
    small = RunConfig()
    data = replace(small.data, image_size=32)
    large = replace(small, data=replace(data, image_size=64))
    assert work_of(replace(small, data=data), large) == 0.25
    assert work_of(small, large) == 1, "as large as its images are"
    short = replace(small, rounds=replace(small.rounds, rounds=1))
    assert work_of(short, small) == 1 / small.rounds.rounds


def test_a_population_has_no_ladder_and_needs_settings_that_move(tmp_path):
    with pytest.raises(ValueError, match=r"sweep.ladder must be empty with pb2"):
        SweepConfig(scheduler="pb2", ladder=LADDER)
    with pytest.raises(ValueError, match=r"sweep.searcher must be random with pbt"):
        SweepConfig(scheduler="pbt", searcher="optuna")
    plan = sweep(tmp_path / "new", scheduler="pb2")
    with pytest.raises(ValueError, match=r"begins with estimator.warmup.* 0,.*not in"):
        plan.enter()
    fixed = replace(plan, space={"mode": Choice(("online", "cvpr"))})
    with pytest.raises(ValueError, match="scheduler pb2: nothing in the search space"):
        fixed.enter()
    with pytest.raises(ValueError, match=r"sweep.method must be one of .*, got 'base'"):
        sweep(tmp_path / "new", method="base").enter()

"""Sweeps by Ray Tune: how trials end, who stops them, where they lie."""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny import CONFIG

from infaug.config import SweepConfig
from infaug.count_range import CountRange
from infaug.experiment.sweep.changes import names
from infaug.experiment.sweep.plan import Sweep
from infaug.record.journal import read_lines

from .sweep_cases import ended, planned, two_cores

pytest.importorskip("ray")
pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def cluster():
    with two_cores() as capacity:
        yield capacity


def test_every_trial_ends_once_and_a_second_start_runs_only_what_is_new(
    cluster, tmp_path
):
    from infaug.distributed.sweep import run_trials

    def work(trial, path, cache, report):
        """Trials by their number: the second cannot work, others get worse."""
        from infaug.experiment.sweep.ledger import Progress

        number = int(path.name[1:])
        if number == 1:
            raise ValueError("the loss is not finite")
        for steps in (3, 6, 9, 12):
            loss = 0.1 * number + 1 / steps
            report(Progress(steps=steps, loss=loss, top1=90.0, seconds=0.1))

    plan = planned(tmp_path / "sweep", trials=3, reduction=2)
    run_trials(plan, plan.ledger(), cluster, shown=False, work=work)
    first = ended(plan)
    assert set(first) == set(names(3))
    assert first["t00"] == "completed"
    assert first["t01"] == "failed"
    assert plan.ledger().trials["t01"].why == "the loss is not finite"

    before = (plan.out / "sweep.jsonl").read_text()
    run_trials(plan, plan.ledger(), cluster, shown=False, work=work)
    assert (plan.out / "sweep.jsonl").read_text() == before

    # ASHA remembers: the fourth trial is the worst of all at every milestone.
    more = replace(plan, how=replace(plan.how, trials=4))
    run_trials(more, more.ledger(), cluster, shown=False, work=work)
    assert ended(more)["t03"] == "stopped"
    assert set(ended(more)) == set(names(4))


def test_hyperband_lets_some_trials_pass_the_first_milestone(tmp_path):
    """Trials get worse, so a bracket stops all but its first at its first milestone.

    Those with milestones after 3 and 6 steps, after 6 steps, and without any are dealt
    t00, t03 and t06; t01 and t04; t02 and t05.
    """
    from ray.tune.schedulers import TrialScheduler

    from infaug.distributed.sweep_schedulers import scheduler_of

    plan = planned(
        tmp_path / "sweep", trials=7, scheduler="hyperband", grace=0.25, reduction=2
    )
    nobody: Any = None
    scheduler, reached = scheduler_of(plan, plan.ledger()), {}
    for number, name in enumerate(plan.names):
        trial: Any = SimpleNamespace(trial_id=name, config={"trial": name})
        scheduler.on_trial_add(nobody, trial)
        for steps in (3, 6, 9, 12):
            reached[name] = steps
            found = {"steps": steps, "loss": float(number), "top1": 0.0}
            answer = scheduler.on_trial_result(nobody, trial, found)
            if answer == TrialScheduler.STOP:
                break
    assert plan.rungs == [3, 6]
    assert reached == {
        "t00": 12, "t01": 12, "t02": 12, "t03": 3, "t04": 6, "t05": 12, "t06": 3,
    }  # fmt: skip


def test_a_spent_budget_leaves_trials_open_for_the_same_command_with_more(
    cluster, tmp_path
):
    from infaug.distributed.sweep import run_trials
    from infaug.distributed.sweep_budget import Budget

    def work(trial, path, cache, report):
        from infaug.experiment.sweep.ledger import Progress

        for steps in (3, 6, 9, 12):
            report(Progress(steps=steps, loss=1.0, top1=90.0, seconds=steps / 3))

    plan = planned(tmp_path / "sweep", trials=2, scheduler="none")
    ledger = plan.ledger()
    second = Budget(
        ends_at=None, worker_hours=1 / 3600, taken=lambda: ledger.seconds / 3600
    )
    run_trials(plan, ledger, cluster, shown=False, work=work, budget=second)
    left = ledger.open_of(plan.names)
    assert left
    before = (plan.out / "sweep.jsonl").read_text()
    run_trials(plan, ledger, cluster, shown=False, work=work, budget=second)
    assert (plan.out / "sweep.jsonl").read_text() == before, "it is spent"
    run_trials(plan, plan.ledger(), cluster, shown=False, work=work)
    assert set(ended(plan).values()) == {"completed"}


def test_a_spent_budget_stops_trials_where_others_go_on_to_the_next_problem(tmp_path):
    from infaug.distributed.sweep import run_trials
    from infaug.distributed.sweep_budget import SPENT, Budget
    from infaug.distributed.sweep_trial import Capacity

    plan = planned(tmp_path / "sweep", trials=3)
    ledger = plan.ledger()
    ledger.propose("t00", {})
    budget = Budget(ends_at=time.monotonic(), worker_hours=None, taken=lambda: 0.0)
    run_trials(
        plan, ledger, Capacity(at_a_time=2), shown=False, budget=budget, is_last=False
    )
    assert ended(plan) == {"t00": "stopped"}, "the others have not begun"
    assert ledger.trials["t00"].why == SPENT


def test_a_part_of_a_budget_is_of_what_is_left():
    from infaug.distributed.sweep_budget import Budget

    taken = 2.0
    whole = Budget(ends_at=None, worker_hours=11.0, taken=lambda: taken)
    assert whole.share(1 / 3).worker_hours == 5
    assert not whole.share(1 / 3).stop_all()
    taken = 5.0
    assert whole.share(1).worker_hours == 11
    assert replace(whole, worker_hours=5.0).stop_all()
    assert replace(whole, ends_at=time.monotonic() - 1).stop_all()
    late = replace(whole, ends_at=time.monotonic() + 60).share(0.5).ends_at
    assert late == pytest.approx(time.monotonic() + 30, abs=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_sweep_at_a_url_goes_on_on_another_machine(cluster, tmp_path, monkeypatch):
    """Its files, and those of trials, lie there; what lies here may be lost."""
    from infaug.distributed.sweep import run_trials
    from infaug.record.mirror import Mirror

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    url, there = f"file://{tmp_path}/there", tmp_path / "there"

    def begun(trials: int) -> tuple[Mirror, Sweep]:
        mirror = Mirror(url, "sweep")
        mirror.bring()
        plan = planned(mirror.folder, trials=trials, scheduler="none")
        return mirror, replace(plan, url=url)

    mirror, plan = begun(1)
    with mirror.held():
        run_trials(plan, plan.ledger(mirror.push), cluster, shown=False)
    assert ended(plan) == {"t00": "completed"}
    assert (there / "trials" / "t00" / "trainings").is_dir()
    assert not list(there.glob("trials/**/*.safetensors")), "it has ended"
    shutil.rmtree(tmp_path / "cache")

    mirror, plan = begun(2)
    assert not (mirror.folder / "trials").exists(), "trials are not brought"
    with mirror.held():
        run_trials(plan, plan.ledger(mirror.push), cluster, shown=False)
    assert [line["trial"] for line in read_lines(there / "sweep.jsonl")][-1] == "t01"
    assert set(ended(plan)) == {"t00", "t01"}
    with pytest.raises(ValueError, match="trials copy run folders"):
        replace(plan, how=SweepConfig(scheduler="pbt")).enter()


@pytest.mark.slow
def test_a_trial_has_as_many_workers_as_there_is_room_for(cluster, tmp_path):
    from infaug.distributed.sweep import run_trials

    groups = replace(CONFIG.classifier, batch_groups=4)
    plan = planned(tmp_path / "sweep", trials=1, scheduler="none")
    plan = replace(plan, config=replace(plan.config, classifier=groups))
    some = replace(cluster, at_a_time=1, workers=CountRange(min=1, max=4))
    run_trials(plan, plan.ledger(), some, shown=False)
    assert ended(plan) == {"t00": "completed"}
    training = Path(plan.home("t00")) / "trainings" / "base_learned-seed0"
    starts = read_lines(training / "starts.jsonl")
    assert [line["workers"] for line in starts] == [2]


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["pbt", "pb2"])
def test_settings_and_weights_move_from_better_trials_to_worse(
    scheduler, cluster, tmp_path
):
    from infaug.distributed.sweep import run_trials

    plan = planned(tmp_path / "sweep", trials=4, scheduler=scheduler, grace=0.25)
    run_trials(plan, plan.ledger(), cluster, shown=False)
    assert set(ended(plan).values()) == {"completed"}
    moved = [t for t in plan.ledger().trials.values() if t.home != t.name]
    assert moved, "the worst took over from the best"
    for trial in moved:
        requested = json.loads((Path(plan.home(trial.home)) / "asked.json").read_text())
        rate = trial.changes["estimator.learning_rate"]
        assert requested["estimator"]["learning_rate"] == rate
        assert [each.steps for each in trial.rounds] == [3, 6, 9, 12]

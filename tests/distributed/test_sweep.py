"""Sweeps by Ray Tune: every trial ends exactly once, whatever is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import CONFIG

from infaug.config import SweepConfig
from infaug.experiment.sweep.changes import names
from infaug.experiment.sweep.plan import Sweep
from infaug.experiment.sweep.space import Between, Choice
from infaug.record.journal import read_lines

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.ray

JOB = Path(__file__).parent.parent.parent / "ray_jobs" / "sweep.py"
ROUNDS = replace(CONFIG.rounds, rounds=4, classifier_steps=3, estimator_steps=2)
SPACE = {
    "estimator.learning_rate": Between(1e-4, 1e-2, log=True),
    "estimator.warmup_rounds": Choice((1, 2)),
    "transform.tau_size": Choice((4, 8)),
}


@pytest.fixture(scope="module")
def cluster():
    from infaug.distributed.local import start_here
    from infaug.distributed.sweep import SETTINGS, Capacity

    os.environ.update(SETTINGS)
    start_here(num_cpus=2, log_to_driver=False, include_dashboard=True)
    yield Capacity(at_a_time=2)
    ray.shutdown()


def planned(out: Path, **how) -> Sweep:
    plan = Sweep(
        config=replace(CONFIG, rounds=ROUNDS), how=SweepConfig(**how), space=SPACE,
        out=out,
    )  # fmt: skip
    plan.enter()
    return plan


def ended(plan: Sweep) -> dict[str, str]:
    """How each trial ended; every one has ended once."""
    lines = read_lines(plan.out / "sweep.jsonl")
    ends = [(x["trial"], x["end"]) for x in lines if x["event"] == "ended"]
    assert len(dict(ends)) == len(ends), "a trial ended twice"
    return dict(ends)


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


@pytest.mark.slow
def test_a_killed_process_of_a_trial_is_replaced_and_the_trial_continues(
    cluster, tmp_path
):
    from infaug.distributed.sweep import run_trials

    def work(trial, path, cache, report):
        import os
        import signal

        from infaug.distributed.sweep_trial import run_alone

        mark = path.parent / "killed"

        def dying(progress):
            report(progress)
            if progress.steps == 6 and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        run_alone(trial, path, cache, dying)

    plan = planned(tmp_path / "sweep", trials=1, scheduler="none")
    run_trials(plan, plan.ledger(), cluster, shown=False, work=work)
    assert ended(plan) == {"t00": "completed"}
    assert [each.steps for each in plan.ledger().trials["t00"].rounds] == [3, 6, 9, 12]
    assert (plan.out / "trials" / "killed").exists()


def parent(process: Path) -> int:
    return int((process / "stat").read_text().rpartition(")")[2].split()[1])


def kill_a_worker_after(log: Path) -> None:
    """SIGKILL a training worker of this process's Ray once something is logged."""
    while not log.exists() or not log.read_text():
        time.sleep(0.1)
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_worker = b"ray::RayTrainWorker" in (process / "cmdline").read_bytes()
            raylet = Path("/proc", str(parent(process)))
            if is_worker and parent(raylet) == os.getpid():
                os.kill(int(process.name), signal.SIGKILL)
                return


@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_trials_of_two_workers_lose_one_and_go_on(cluster, tmp_path):
    from infaug.distributed.sweep import run_trials

    groups = replace(CONFIG.classifier, batch_groups=2)
    plan = planned(tmp_path / "sweep", trials=2, scheduler="none")
    plan = replace(plan, config=replace(plan.config, classifier=groups))
    log = plan.home("t00") / "trainings" / "base_learned-seed0" / "metrics.jsonl"
    killer = threading.Thread(target=kill_a_worker_after, args=(log,))
    killer.start()
    two = replace(cluster, at_a_time=1, workers=2)
    began = time.monotonic()
    run_trials(plan, plan.ledger(), two, shown=False)
    killer.join()
    assert ended(plan) == {"t00": "completed", "t01": "completed"}
    for trial in plan.ledger().trials.values():
        assert [each.steps for each in trial.rounds] == [3, 6, 9, 12]
    starts = read_lines(log.with_name("starts.jsonl"))
    assert [line["workers"] for line in starts] == [2, 2]
    seconds = time.monotonic() - began
    print(f"CHAOS 1 of 1: a trial of two workers lost one, {seconds:.0f} s")


@pytest.mark.slow
def test_pbt_moves_settings_and_weights_from_better_trials_to_worse(cluster, tmp_path):
    from infaug.distributed.sweep import run_trials

    plan = planned(tmp_path / "sweep", trials=4, scheduler="pbt", grace=0.25)
    run_trials(plan, plan.ledger(), cluster, shown=False)
    assert set(ended(plan).values()) == {"completed"}
    moved = [t for t in plan.ledger().trials.values() if t.home != t.name]
    assert moved, "the worst took over from the best"
    for trial in moved:
        requested = json.loads((plan.home(trial.home) / "asked.json").read_text())
        rate = trial.changes["estimator.learning_rate"]
        assert requested["estimator"]["learning_rate"] == rate
        assert [each.steps for each in trial.rounds] == [3, 6, 9, 12]


@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.timeout(3600)
def test_24_trials_killed_in_the_middle_end_once_each(tmp_path):
    """The job as a user starts it, two workers a trial; SIGKILL of the driver."""
    out = tmp_path / "sweep"
    command = [sys.executable, str(JOB), "--out", str(out), "--sweep.trials", "24"]
    command += ["--workers-per-trial", "2"]
    began = time.monotonic()
    first = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    until = began + 1800
    while len(ends_in(out)) < 8:
        assert first.poll() is None, "the sweep ended before it was killed"
        assert time.monotonic() < until, "the sweep is too slow"
        time.sleep(1)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    before = ends_in(out)
    again = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = time.monotonic() - began
    after = ends_in(out)
    assert after[: len(before)] == before
    assert sorted(after) == names(24)
    result = json.loads(again.stdout.splitlines()[-1].removeprefix("RESULT "))
    assert result["trials"] == 24
    assert result["test"]["images"] > 0
    print(again.stdout, f"{seconds:.0f} s in all")


def ends_in(out: Path) -> list[str]:
    """Trials in the order in which they ended."""
    lines = read_lines(out / "sweep.jsonl")
    return [line["trial"] for line in lines if line["event"] == "ended"]

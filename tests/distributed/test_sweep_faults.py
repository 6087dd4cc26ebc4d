"""Whatever of a sweep is killed, every trial goes on and ends exactly once."""

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

from infaug.count_range import CountRange
from infaug.experiment.sweep.changes import names
from infaug.record.journal import read_lines

from .sweep_cases import ended, planned, two_cores

pytest.importorskip("ray")
pytestmark = [pytest.mark.ray, pytest.mark.slow]

JOB = Path(__file__).parent.parent.parent / "ray_jobs" / "sweep.py"


@pytest.fixture(scope="module")
def cluster():
    with two_cores() as capacity:
        yield capacity


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


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_trials_of_two_workers_lose_one_and_go_on(cluster, tmp_path):
    from infaug.distributed.sweep import run_trials

    groups = replace(CONFIG.classifier, batch_groups=2)
    plan = planned(tmp_path / "sweep", trials=2, scheduler="none")
    plan = replace(plan, config=replace(plan.config, classifier=groups))
    log = Path(plan.home("t00")) / "trainings" / "base_learned-seed0" / "metrics.jsonl"
    killer = threading.Thread(target=kill_a_worker_after, args=(log,))
    killer.start()
    two = replace(cluster, at_a_time=1, workers=CountRange(min=2, max=2))
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

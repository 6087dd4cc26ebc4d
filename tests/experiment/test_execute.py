"""Trainings in processes of this machine."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from experiment.jobs import work
from killed import different, start
from resolved import resolved
from tiny import tiny

from infaug.config import to_dict
from infaug.experiment.execute import plan_of
from infaug.experiment.processes import MAX_DEATHS, in_processes
from infaug.experiment.run import run
from infaug.experiment.trainings import needed_by
from infaug.record.folder import RunFolder

pytestmark = pytest.mark.long

CONFIG = tiny(controls="quick")
DRIVER = """
import json, sys
from infaug.experiment.run import run
from infaug.config import RunConfig, from_dict
config, out = json.loads(sys.argv[1])
run(from_dict(RunConfig, config), out, shown=False, jobs=2)
"""


def done(*jobs: str) -> tuple[dict[str, int], list[str]]:
    """What these jobs find, and what they told the display."""
    said: list[str] = []
    found = in_processes(
        work, list(jobs), SimpleNamespace(say=said.append),
        at_a_time=2, threads=1, ready=lambda left, _: left,
    )  # fmt: skip
    return dict(found), said


def test_what_jobs_find_and_report_reaches_the_driver_though_a_process_dies(tmp_path):
    again = f"once {tmp_path / 'mark'}"
    found, said = done("a", again)
    assert found == {"a": 1, again: len(again)}
    assert sorted(said) == ["a begins", f"{again} begins"]


def test_a_mistake_is_a_value_error_and_a_bug_keeps_its_traceback():
    with pytest.raises(ValueError, match="no such image"):
        done("mistake")
    with pytest.raises(RuntimeError, match="KeyError: 'no such key'"):
        done("bug")


def test_a_job_whose_processes_die_is_given_up_in_the_end():
    with pytest.raises(ValueError, match=f"died {MAX_DEATHS} times .*signal 9.*memory"):
        done("die")


def test_whatever_a_training_needs_stands_before_it_in_the_plan():
    config = resolved(tiny(controls="full"))
    plan = plan_of(config)
    finished: set[tuple[str, int]] = set()
    for spec in plan:
        assert needed_by(spec) <= finished, spec.method.name
        finished.add((spec.method.name, spec.seed))
    needs = {spec.method.name: needed_by(spec) for spec in plan}
    assert needs["base_random_final"] == {("base_learned", 0)}
    assert len(needs["base_tuned"]) > 1
    assert not needs["pooled"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """An experiment whose trainings were done one after another."""
    out = tmp_path_factory.mktemp("alone") / "run"
    assert start(out, None, CONFIG) == 0
    return out


def test_side_by_side_with_the_driver_killed_the_bytes_are_those_of_one_at_a_time(
    alone, tmp_path
):
    """A killed driver takes its processes along; the same command goes on."""
    out = tmp_path / "run"
    job = json.dumps([to_dict(CONFIG), str(out)])
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, job])
    deadline = time.monotonic() + 240
    while not list(out.glob("trainings/*/checkpoints/*.safetensors")):
        assert time.monotonic() < deadline, "a training begins"
        time.sleep(0.01)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL
    run(CONFIG, out, shown=False, jobs=2)
    assert different(out, alone) == []
    starts = [line["after"] for line in RunFolder(out).lines("starts.jsonl")]
    assert len(starts) > len(plan_of(RunFolder(out).config())), "some went on"

"""The suite on a run: what it says, and when it refuses to."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import pytest
from corruption_kinds import CORRUPTIONS, SEVERITIES
from tiny import tiny

from infaug.experiment.run import run
from infaug.record.folder import RunFolder

JOB = Path(__file__).parents[2] / "ray_jobs" / "corruptions.py"
check, table = (runpy.run_path(str(JOB))[name] for name in ("check", "table"))


@pytest.fixture(scope="module")
def base_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("corruptions") / "run"
    config = tiny(methods=("base",))
    data = replace(config.data, labels=40, target=40, test=60)
    run(replace(config, data=data), out, shown=False)
    return out


def test_a_finished_run_is_checked_by_corruption_and_severity(base_run):
    found = check(base_run, "base", 0)
    kept = json.loads((base_run / "corruptions-base-seed0.json").read_text())
    result = json.loads((base_run / "trainings/base-seed0/result.json").read_text())
    assert kept == found
    assert found["clean"] == result["test_top1"]
    assert set(found["top1"]) == set(CORRUPTIONS)
    assert all(len(values) == len(SEVERITIES) for values in found["top1"].values())
    assert check(base_run, "base", 0) == found


def test_an_unfinished_run_is_refused(base_run, monkeypatch):
    monkeypatch.setattr(RunFolder, "result", lambda self: None)
    with pytest.raises(ValueError, match="is not finished"):
        check(base_run, "base", 0)


def test_the_table_ends_with_the_mean_and_clean_images():
    tops = {"fog": (80, 70, 60, 50, 40), "jpeg": (90,) * 5}
    means = {"fog": 60, "jpeg": 90}
    lines = table(
        {"clean": 90.0, "top1": tops, "means": means, "mean": 75}
    ).splitlines()
    assert lines[2] == "| fog | 80.0 | 70.0 | 60.0 | 50.0 | 40.0 | 60.0 |"
    assert lines[-2] == "| all | | | | | | 75.0 |"

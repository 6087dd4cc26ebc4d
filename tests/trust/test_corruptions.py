"""The suite on a run: what it says, and when it refuses to."""

import json
from dataclasses import replace

import pytest
from tiny import tiny

from infaug.data.corruptions import CORRUPTIONS, SEVERITIES
from infaug.experiment.run import run
from infaug.trust import corruptions
from infaug.trust.corruptions import Robustness, check_run, corruptions_table


@pytest.fixture(scope="module")
def base_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("corruptions") / "run"
    config = tiny(methods=("base",))
    data = replace(config.data, labels=40, target=40, test=60)
    run(replace(config, data=data), out, shown=False)
    return out


def test_a_finished_run_is_checked_by_corruption_and_severity(base_run):
    found = check_run(base_run, "base")
    kept = json.loads((base_run / "corruptions-base-seed0.json").read_text())
    result = json.loads((base_run / "trainings/base-seed0/result.json").read_text())
    assert found.clean == result["test_top1"]
    assert kept["mean"] == found.mean
    assert set(found.top1) == set(CORRUPTIONS)
    assert all(len(values) == len(SEVERITIES) for values in found.top1.values())
    assert check_run(base_run, "base") == found


def test_an_unfinished_run_is_refused(base_run, monkeypatch):
    monkeypatch.setattr(corruptions.RunFolder, "result", lambda self: None)
    with pytest.raises(ValueError, match="is not finished"):
        check_run(base_run, "base")


def test_the_mean_is_over_corruptions_and_severities():
    found = Robustness(90.0, {"fog": (80, 70, 60, 50, 40), "jpeg": (90,) * 5})
    assert found.means == {"fog": 60, "jpeg": 90}
    assert found.mean == 75
    lines = corruptions_table(found).splitlines()
    assert lines[2] == "| fog | 80.0 | 70.0 | 60.0 | 50.0 | 40.0 | 60.0 |"
    assert lines[-2] == "| all | | | | | | 75.0 |"

"""What benchmarks/scale.py compares is the same work."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from scale_apart import books, checkpoint
from scale_steps import PROBLEMS, compare, plain_classifier

from infaug.training.methods import METHODS
from infaug.training.state import Training
from infaug.world import World

SCALE = Path(__file__).parents[2] / "benchmarks" / "scale.py"


def test_the_plain_network_is_f_with_torchs_batchnorm():
    problem = PROBLEMS["allconv"]
    splits, x = problem.splits(), torch.rand(4, *problem.shape)
    plain = plain_classifier(problem, splits.train)
    cell = Training(
        METHODS["base"], 0, splits, problem.config, World(), torch.device("cpu")
    )
    plain.load_state_dict(cell.classifier.state_dict())
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in plain.modules())
    torch.testing.assert_close(plain.eval()(x), cell.classifier.eval()(x))


def test_both_ways_are_timed_in_one_process_group(tmp_path):
    before = torch.get_num_threads()
    compare(0, 1, tmp_path, "allconv", steps=1, repeats=2)
    torch.set_num_threads(before)
    found = json.loads((tmp_path / "seconds.json").read_text())
    assert found.keys() == {"infaug", "grouped", "ddp"}
    assert all(len(seconds) == 2 and min(seconds) > 0 for seconds in found.values())


def test_checkpoint_and_books_are_those_of_a_run():
    saved = checkpoint("allconv", repeats=1)
    assert saved["seconds"] > 0
    assert saved["mib"] > 1
    kept = books("allconv", steps=40)
    assert 0 < kept["record_share"] < 1
    parts = kept["seconds_a_step"]
    assert parts.keys() >= {"data", "views", "record", "own", "total"}
    whole = sum(spent for part, spent in parts.items() if part != "total")
    assert whole == pytest.approx(parts["total"])


@pytest.mark.slow
@pytest.mark.ray
def test_the_benchmark_prints_a_table_and_a_line_of_json():
    small = ["--problems", "allconv", "--workers", "2", "--steps", "1"]
    small += ["--repeats", "2", "--books-steps", "40", "--checkpoints", "allconv"]
    done = subprocess.run(
        [sys.executable, str(SCALE), *small], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["steps"][0]["workers"] == 2
    assert found["start_up"]["2"]["fit_to_entered_s"] > 0
    assert "seconds over DDP" in done.stdout

"""What benchmarks/scale.py compares is the same work."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from scale_steps import PROBLEMS, compare, plain_classifier

from infaug.training.methods import METHODS
from infaug.training.state import Training
from infaug.world import World

SCALE = Path(__file__).parents[2] / "benchmarks" / "scale.py"


def test_the_plain_network_is_f_with_torchs_batchnorm():
    problem = PROBLEMS["allconv"]
    splits, x = problem.splits(), torch.rand(4, *problem.shape)
    plain = plain_classifier(problem, splits.train)
    training = Training(
        METHODS["base"], 0, splits, problem.config, World(), torch.device("cpu")
    )
    plain.load_state_dict(training.classifier.state_dict())
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in plain.modules())
    torch.testing.assert_close(plain.eval()(x), training.classifier.eval()(x))


def test_both_ways_are_timed_in_one_process_group(tmp_path):
    before = torch.get_num_threads()
    compare(0, 1, tmp_path, "allconv", batch_size=64, steps=1, repeats=2)
    torch.set_num_threads(before)
    found = json.loads((tmp_path / "seconds.json").read_text())
    assert found.keys() == {"infaug", "grouped", "ddp"}
    assert all(len(seconds) == 2 and min(seconds) > 0 for seconds in found.values())


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

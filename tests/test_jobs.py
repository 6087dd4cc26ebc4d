"""The jobs run as a user starts them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

JOBS = Path(__file__).parent.parent / "ray_jobs"


@pytest.mark.parametrize(
    ("job", "arguments"),
    [
        ("digits.py", []),
        # The MNIST job takes any data; digits stand in where there is no MNIST.
        ("mnist.py", ["--data", "digits", "--labels", "300", "--target", "100"]),
    ],
)
def test_a_job_smokes_and_ends_with_a_result(job, arguments, tmp_path):
    command = [sys.executable, str(JOBS / job), "--smoke", *arguments]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "run"), "--controls", "quick"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    last = done.stdout.strip().splitlines()[-1]
    result = json.loads(last.removeprefix("RESULT "))
    assert "pooled_learned" in result["rows"]
    assert (tmp_path / "run" / "views-base_learned.png").exists()

"""Jobs submitted to a real head, by Ray's job API and by its command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .heads import RAY, Head, head

pytest.importorskip("ray")
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.cluster]

ROOT = Path(__file__).parent.parent.parent
FOLLOW = Path(__file__).parent / "follow_job.py"
QUICK = "--controls none --seeds 1"
DIGITS = f"python ray_jobs/digits.py --smoke {QUICK}"
# The MNIST job takes any data; digits stand in where there is no MNIST.
MNIST = (
    "python ray_jobs/mnist.py --smoke --data digits --labels 300 --target 100 "
    f"--workers 2 {QUICK}"
)
# It kills itself once, and continues.
IMAGENET = "python ray_jobs/imagenet.py --smoke"


@pytest.fixture(scope="module")
def cluster():
    with head(num_cpus=4) as found:
        yield found


def client(command: list[str], cluster: Head) -> subprocess.CompletedProcess[str]:
    """What a client of the cluster prints, and how it ends."""
    return subprocess.run(
        command, env=dict(cluster.environment), text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT,
    )  # fmt: skip


def submitted(entrypoint: str, cluster: Head) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLLOW), cluster.dashboard, str(ROOT), entrypoint]
    return client(command, cluster)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("entrypoint", "rows", "says"),
    [
        (MNIST, {"base_learned", "pooled_learned"}, "verdict"),
        (IMAGENET, {"base", "base_learned"}, "goes on after"),
    ],
    ids=["mnist", "imagenet"],
)
def test_a_job_submitted_by_the_api_is_followed_and_leaves_its_result(
    entrypoint, rows, says, cluster, tmp_path
):
    files = f"--out {tmp_path}/run --cache {tmp_path}/cache"
    done = submitted(f"{entrypoint} {files}", cluster)
    assert done.returncode == 0, done.stdout
    assert "JOB SUCCEEDED exit code 0" in done.stdout
    assert says in done.stdout
    [line] = [x for x in done.stdout.splitlines() if x.startswith("RESULT ")]
    followed = json.loads(line.removeprefix("RESULT "))
    kept = json.loads((tmp_path / "run" / "result.json").read_text())
    assert followed["methods"] == kept["methods"]
    assert set(kept["methods"]) == rows


def test_a_mistake_in_a_submitted_job_is_told_and_ends_with_its_code(cluster, tmp_path):
    entrypoint = f"{DIGITS} --data /no/such/place --out {tmp_path}/run"
    done = submitted(entrypoint, cluster)
    assert done.returncode == 1
    assert "/no/such/place" in done.stdout
    assert "JOB FAILED exit code 2" in done.stdout


@pytest.mark.timeout(400)
def test_the_readmes_command_submits_a_job(cluster, tmp_path):
    command = [RAY, "job", "submit", f"--address={cluster.dashboard}"]
    command += ["--working-dir", ".", "--", *DIGITS.split()]
    done = client([*command, "--out", str(tmp_path / "run")], cluster)
    assert done.returncode == 0, done.stdout
    assert "RESULT {" in done.stdout
    assert (tmp_path / "run" / "result.json").exists()

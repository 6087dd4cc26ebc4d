"""A cluster that grows with a job and shrinks after it.

Ray's own autoscaler, with a provider whose nodes are processes on this machine. The
head has no CPU, so whatever trains or solves does so on nodes that were added.
"""

import subprocess
import sys
import time

import pytest

from .heads import Head, growing_head
from .test_jobs_api import DIGITS, FOLLOW, ROOT

pytest.importorskip("ray")
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.chaos]

GONE_S = 120.0


GROUPS = {
    "decode": {"resources": {"CPU": 1, "solver": 1}},
    "train": {"resources": {"CPU": 2}},
}


@pytest.fixture
def cluster():
    with growing_head(GROUPS) as found:
        yield found


def most_nodes_while(running: subprocess.Popen, cluster: Head) -> int:
    most = 0
    while running.poll() is None:
        most = max(most, cluster.num_nodes())
        time.sleep(1)
    return most


@pytest.mark.timeout(600)
def test_nodes_come_for_a_job_train_it_and_go_when_it_ends(cluster, tmp_path):
    assert cluster.num_nodes() == 1
    entrypoint = (
        f"{DIGITS.replace('ray_jobs', f'{ROOT}/ray_jobs')} --workers 2 "
        "--refresh overlap --refresh-lag 5 --pool 1 "
        "--pool-resources CPU=1,solver=1 --await-nodes 240 "
        f"--out {tmp_path}/run"
    )
    # No working folder is sent: nodes that share a machine would unpack it into the
    # same place, one under the feet of another's actors.
    command = [sys.executable, str(FOLLOW), cluster.dashboard, "", entrypoint]
    log = tmp_path / "job.log"
    with log.open("w") as out:
        running = subprocess.Popen(
            command, env=dict(cluster.environment), stdout=out, stderr=out
        )
    most = most_nodes_while(running, cluster)
    assert running.returncode == 0, log.read_text()
    assert most == 3, "the head and one node of each kind"
    assert (tmp_path / "run" / "result.json").exists()

    until = time.monotonic() + GONE_S
    while cluster.num_nodes() > 1:
        assert time.monotonic() < until, "idle nodes were not given back"
        time.sleep(1)

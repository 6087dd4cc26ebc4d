"""A cluster that grows with a job and shrinks after it.

Ray's own autoscaler, with a provider whose nodes are processes on this machine. The
head has no CPU, so whatever trains or solves does so on nodes that were added.
"""

import subprocess
import sys
import time

import pytest

from .heads import Head, head
from .test_jobs_api import DIGITS, FOLLOW, ROOT

pytest.importorskip("ray")
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.cluster]

GONE_S = 120.0


def autoscaling() -> dict:
    """As cluster/aws.yaml, in small: a head, a node to solve on, one to train on."""
    return {
        "cluster_name": "grows",
        "max_workers": 2,
        "upscaling_speed": 8,
        "idle_timeout_minutes": 0.1,
        "provider": {
            "type": "fake_multinode",
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "available_node_types": {
            "ray.head.default": {
                "resources": {"CPU": 0}, "node_config": {}, "max_workers": 0,
            },
            "decode": {
                "resources": {"CPU": 1, "solver": 1}, "node_config": {},
                "min_workers": 0, "max_workers": 1,
            },
            "train": {
                "resources": {"CPU": 2}, "node_config": {},
                "min_workers": 0, "max_workers": 1,
            },
        },
        "head_node_type": "ray.head.default",
        "auth": {}, "docker": {}, "file_mounts": {}, "cluster_synced_files": [],
        "file_mounts_sync_continuously": False, "rsync_exclude": [], "rsync_filter": [],
        "initialization_commands": [], "setup_commands": [], "head_setup_commands": [],
        "worker_setup_commands": [], "head_start_ray_commands": [],
        "worker_start_ray_commands": [],
    }  # fmt: skip


@pytest.fixture
def cluster():
    update = {"AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_FAKE_CLUSTER": "1"}
    update["PYTHONPATH"] = str(ROOT)
    with head(num_cpus=0, autoscaling=autoscaling(), **update) as found:
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

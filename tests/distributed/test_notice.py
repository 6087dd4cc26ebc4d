"""A machine is announced to go: what it has done is kept before it does."""

import json
import re
import subprocess
import time
from dataclasses import replace

import pytest

from .elastic import CONFIG, PATIENCE_S, await_workers, start
from .heads import RAY, Head, head, kill_node

pytest.importorskip("ray")
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.cluster]


@pytest.mark.timeout(600)
def test_a_node_given_notice_leaves_a_checkpoint_that_was_not_due(tmp_path):
    rounds = replace(CONFIG.rounds, checkpoint_every_steps=1_000_000)
    out = tmp_path / "noticed"
    with head(num_cpus=1) as cluster, cluster.node(2) as node:
        running = start(cluster, out, replace(CONFIG, rounds=rounds))
        await_workers(3, running, out)
        assert not list(out.glob("trainings/*/checkpoints/*"))
        give_notice(cluster)
        until = time.monotonic() + PATIENCE_S
        while not list(out.glob("trainings/*/checkpoints/*.safetensors")):
            assert running.poll() is None, "the run ended too early"
            assert time.monotonic() < until, "no checkpoint was taken"
            time.sleep(0.1)
        kill_node(node)
        await_workers(1, running, out)
        running.kill()
        running.wait()
    said = out.with_suffix(".log").read_text()
    assert re.search(r"goes on after classify step \d+0 of round 1", said), said


def give_notice(cluster: Head) -> None:
    """As a cloud does before it takes a machine away; to every node but the head."""
    address = f"--address={cluster.address}"
    environment = dict(cluster.environment)
    command = [
        RAY,
        "list",
        "nodes",
        address.replace(cluster.address, cluster.dashboard),
    ]
    found = subprocess.check_output([*command, "--format=json"], env=environment)
    [node] = [each for each in json.loads(found) if not each["is_head_node"]]
    subprocess.check_call(
        [
            RAY, "drain-node", address, f"--node-id={node['node_id']}",
            "--reason=DRAIN_NODE_REASON_PREEMPTION", "--reason-message=spot",
            "--deadline-remaining-seconds=60",
        ],
        env=environment,
    )  # fmt: skip

"""Workers come and go with the nodes of a cluster, and a run goes on with them."""

import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import CONFIG as TINY

from infaug.comparison.run import run
from infaug.config import (
    AdversarialConfig,
    ClassifierConfig,
    EstimatorConfig,
    RoundsConfig,
    RunConfig,
    to_dict,
)
from infaug.record.journal import read_lines

from .heads import RAY, Head, head, kill_node

pytest.importorskip("ray")
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.cluster]

CONFIG = replace(
    TINY,
    rows=("base_learned",),
    data=replace(TINY.data, labels=300, image_size=16),
    classifier=ClassifierConfig(batch_size=96, batch_groups=6, precision="float64"),
    adversarial=AdversarialConfig(batch_size=6),
    estimator=EstimatorConfig(batch_size=12),
    rounds=RoundsConfig(
        rounds=2, classifier_steps=500, estimator_steps=20, log_every_steps=10,
        checkpoint_every_steps=20,
    ),
)  # fmt: skip
JOB = """
import json, sys
from pathlib import Path
from infaug.config import RunConfig, from_dict
from infaug.distributed.train import fit_on_workers
from infaug.span import Span

config, out = json.loads(sys.argv[1])
workers = Span(least=1, most=3)
fit_on_workers(from_dict(RunConfig, config), Path(out), workers, resize_s=3)
"""
PATIENCE_S = 400.0


def workers_of(out: Path) -> list[int]:
    """How many trained together, at each beginning."""
    return [line["workers"] for line in read_lines(out / "starts.jsonl")]


def await_workers(count: int, running: subprocess.Popen, out: Path) -> None:
    """Until so many train, and have done a hundred steps since they began."""
    until = time.monotonic() + PATIENCE_S
    while not workers_of(out) or workers_of(out)[-1] != count:
        assert running.poll() is None, "the run ended too early"
        assert time.monotonic() < until, f"{count} workers do not come"
        time.sleep(0.2)
    logged = len(read_lines(out / "metrics.jsonl"))
    while len(read_lines(out / "metrics.jsonl")) < logged + 10:
        assert running.poll() is None, "the run ended too early"
        time.sleep(0.2)


def start(cluster: Head, out: Path, config: RunConfig = CONFIG) -> subprocess.Popen:
    environment = {**cluster.environment, "RAY_ADDRESS": cluster.address}
    job = json.dumps([to_dict(config), str(out)])
    with out.with_suffix(".log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-c", JOB, job], env=environment, stdout=log, stderr=log
        )


@pytest.mark.timeout(1200)
def test_a_run_goes_from_one_worker_to_three_and_back_and_learns_the_same(tmp_path):
    out = tmp_path / "elastic"
    with head(num_cpus=1) as cluster:
        running = start(cluster, out)
        await_workers(1, running, out)
        with cluster.node(2) as node:
            await_workers(3, running, out)
            kill_node(node)
            await_workers(1, running, out)
        assert running.wait(PATIENCE_S) == 0, out.with_suffix(".log").read_text()
    assert workers_of(out) == [1, 3, 1]

    run(CONFIG, tmp_path / "calm", shown=False)
    # The same groups, batches and rates, summed in another order; what differs in the
    # last bits grows with the steps.
    ours, calm = (read_lines(f / "metrics.jsonl") for f in (out, tmp_path / "calm"))
    for mine, theirs in zip(ours, calm, strict=True):
        assert mine.keys() == theirs.keys()
        for key, value in theirs.items():
            if isinstance(value, float):
                near = 1e-8 if theirs["round"] == 0 else 0.1
                assert mine[key] == pytest.approx(value, rel=near, abs=near), mine
            else:
                assert mine[key] == value


@pytest.mark.timeout(600)
def test_a_node_given_notice_leaves_a_checkpoint_that_was_not_due(tmp_path):
    rounds = replace(CONFIG.rounds, checkpoint_every_steps=1_000_000)
    out = tmp_path / "noticed"
    with head(num_cpus=1) as cluster, cluster.node(2) as node:
        running = start(cluster, out, replace(CONFIG, rounds=rounds))
        await_workers(3, running, out)
        assert not list(out.glob("checkpoints/*"))
        give_notice(cluster)
        until = time.monotonic() + PATIENCE_S
        while not list(out.glob("checkpoints/*.safetensors")):
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

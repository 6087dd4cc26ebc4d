"""A machine is announced to go: what it has done is kept before it does."""

import re
import time
from dataclasses import replace

import pytest

from .cloud_metadata import metadata_service
from .elastic import CONFIG, await_workers, start
from .heads import head, kill_node

pytest.importorskip("ray")
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.chaos]

PREEMPTED = ("GET", "/computeMetadata/v1/instance/preempted")
NOTICE_S = 10.0  # until the checkpoint is on disk; Google gives thirty


@pytest.mark.timeout(600)
def test_a_cloud_that_gives_notice_leaves_a_checkpoint_that_was_not_due(tmp_path):
    rounds = replace(CONFIG.rounds, checkpoint_every_steps=1_000_000)
    out, answers = tmp_path / "noticed", {PREEMPTED: "FALSE"}
    with head(num_cpus=1) as cluster, metadata_service(answers) as url:
        environment = {**cluster.environment, "INFAUG_METADATA_URL": url}
        in_cloud = replace(cluster, environment=environment)
        with in_cloud.node(2) as node:
            running = start(cluster, out, replace(CONFIG, rounds=rounds))
            await_workers(3, running, out)
            assert not list(out.glob("trainings/*/checkpoints/*"))
            answers[PREEMPTED], began = "TRUE", time.monotonic()
            while not list(out.glob("trainings/*/checkpoints/*.safetensors")):
                assert running.poll() is None, "the run ended too early"
                assert time.monotonic() < began + NOTICE_S, "no checkpoint was taken"
                time.sleep(0.1)
            seconds = time.monotonic() - began
            print(f"CHAOS 1 of 1: a checkpoint {seconds:.1f} s after the notice")
            kill_node(node)
            await_workers(1, running, out)
            running.kill()
            running.wait()
    log = out.with_suffix(".log").read_text()
    assert re.search(r"goes on after classify step \d+ of round 1", log), log

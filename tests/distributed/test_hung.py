"""A training worker that stands still is replaced, and the training goes on."""

import os
import signal
import time

import pytest

from .elastic import await_workers, start, workers_of
from .heads import head
from .victims import pids

pytest.importorskip("ray")
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.chaos]

REPLACED_S = 120.0


@pytest.mark.timeout(900)
def test_a_stopped_worker_is_replaced_within_two_minutes(tmp_path):
    out = tmp_path / "stopped"
    with head(num_cpus=1) as cluster:
        running = start(cluster, out)
        await_workers(1, running, out)
        (worker,) = pids("training worker", cluster)
        os.kill(worker, signal.SIGSTOP)
        began = time.monotonic()
        while len(workers_of(out)) < 2:
            assert running.poll() is None, out.with_suffix(".log").read_text()
            assert time.monotonic() < began + REPLACED_S, "it is not replaced"
            time.sleep(0.2)
        print(f"replaced after {time.monotonic() - began:.0f} s")
        await_workers(1, running, out)  # and does steps
        running.kill()
        running.wait()

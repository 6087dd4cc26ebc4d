"""What Ray does when a worker dies."""

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import CONFIG

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.ray, pytest.mark.slow]

LONGER = replace(
    CONFIG, controls="none", rounds=replace(CONFIG.rounds, classifier_steps=60)
)


def kill_a_worker_once_it_has(metrics: Path, killed: list[int]) -> None:
    """SIGKILL one training worker as soon as a first checkpoint is likely."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not killed:
        if metrics.exists() and metrics.stat().st_size > 500:
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    title = (folder / "cmdline").read_bytes()
                except OSError:
                    continue
                if b"RayTrainWorker" in title:
                    killed.append(int(folder.name))
                    os.kill(killed[0], signal.SIGKILL)
                    return
        time.sleep(0.05)


def bytes_of(run: Path) -> dict[str, bytes]:
    names = [*run.glob("cells/*/*"), run / "metrics.jsonl"]
    return {str(p.relative_to(run)): p.read_bytes() for p in names}


def test_a_killed_worker_is_replaced_and_the_run_ends_with_the_same_bytes(tmp_path):
    from infaug.distributed.train import fit_on_workers

    ray.init(num_cpus=4, _node_ip_address="127.0.0.1", log_to_driver=False)
    try:
        fit_on_workers(LONGER, tmp_path / "calm", 2, shown=False)
        killed: list[int] = []
        killer = threading.Thread(
            target=kill_a_worker_once_it_has,
            args=(tmp_path / "killed" / "metrics.jsonl", killed),
        )
        killer.start()
        fit_on_workers(LONGER, tmp_path / "killed", 2, shown=False)
        killer.join()
    finally:
        ray.shutdown()
    assert killed, "no worker was found to kill"
    assert bytes_of(tmp_path / "calm") == bytes_of(tmp_path / "killed")

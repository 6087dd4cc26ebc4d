"""What Ray does when a worker dies, and when a job is submitted."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
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


def test_a_submitted_job_trains_and_reports_its_result(tmp_path):
    root = Path(__file__).parent.parent.parent
    # Sockets lie in it, and their paths may not exceed 107 bytes.
    short = tempfile.mkdtemp(prefix="ray")
    ray_command = [str(Path(sys.executable).with_name("ray"))]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        # Head and client share a token, as Ray's clusters ask by default.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
    head = subprocess.Popen(
        [
            *ray_command, "start", "--head", "--block", "--num-cpus=4",
            "--node-ip-address=127.0.0.1", "--port=0", "--dashboard-port=8299",
            f"--temp-dir={short}",
        ],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    try:
        entry = "python ray_jobs/digits.py --smoke --workers 2 --controls none --out "
        command = [
            *ray_command, "job", "submit", "--address=http://127.0.0.1:8299",
            f"--working-dir={root}",
            "--", *entry.split(), str(tmp_path / "run"),
        ]  # fmt: skip
        for _ in range(30):
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False
            )
            if "Failed to connect" not in done.stdout + done.stderr:
                break
            time.sleep(1)
        assert done.returncode == 0, done.stdout + done.stderr
        result = re.search(r"RESULT (\{.*\})", done.stdout)
        assert result is not None, done.stdout
        assert "base_learned" in json.loads(result[1])["rows"]
    finally:
        os.killpg(head.pid, signal.SIGTERM)
        head.wait(timeout=60)

"""A real head of a Ray cluster on this machine, ended by the ids of its processes.

`ray stop` would end everybody's Ray on the machine. Every process of this cluster names
its own temporary folder on its command line, nodes added later included.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

ray = pytest.importorskip("ray")

RAY = str(Path(sys.executable).with_name("ray"))
FAKE_HEAD_NODE_ID = "f" * 51 + "00000"  # as Ray's fake provider has it
FAKE_PROVIDER = (
    "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
)
START_S = 240.0  # half a minute on an idle machine


@dataclass(frozen=True, kw_only=True)
class Head:
    """How to reach a head: addresses, and what a client has in its environment."""

    address: str
    dashboard: str
    environment: Mapping[str, str]
    folder: str

    def ask(self, path: str, body: bytes | None = None):
        """An answer of the dashboard's HTTP API."""
        token = self.environment["RAY_AUTH_TOKEN"]
        headers = {"Authorization": f"Bearer {token}"}
        request = urllib.request.Request(self.dashboard + path, body, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    @contextmanager
    def node(self, num_cpus: int) -> Iterator[subprocess.Popen]:
        """One more node while this lasts; killing its processes is its death."""
        command = [
            RAY, "start", f"--address={self.address}", "--block",
            f"--num-cpus={num_cpus}", f"--node-ip-address={self.address.split(':')[0]}",
            f"--dashboard-agent-listen-port={free_ports(1)[0]}",
        ]  # fmt: skip
        before = self.nodes()
        with (Path(self.folder) / "node.log").open("ab") as out:
            process = subprocess.Popen(
                command, env=dict(self.environment), stdout=out, stderr=out
            )
        try:
            until = time.monotonic() + START_S
            # One that died a moment ago may still be counted.
            while not self.nodes() - before:
                assert process.poll() is None, "the node ended"
                assert time.monotonic() < until, "the node does not come"
                time.sleep(0.5)
            yield process
        finally:
            kill_node(process)

    def nodes(self) -> set[str]:
        """The nodes that are alive, the head among them."""
        nodes = self.ask("/nodes?view=summary")["data"]["summary"]
        raylets = [node["raylet"] for node in nodes]
        return {each["nodeId"] for each in raylets if each.get("state") == "ALIVE"}

    def groups(self) -> set[str]:
        """The autoscaler's groups that have a node which is alive."""
        nodes = self.ask("/nodes?view=summary")["data"]["summary"]
        alive = [n["raylet"] for n in nodes if n["raylet"].get("state") == "ALIVE"]
        return {each["nodeTypeName"] for each in alive}

    def num_nodes(self) -> int:
        """How many they are."""
        return len(self.nodes())


@contextmanager
def head(
    num_cpus: int, autoscaling: dict | None = None, **environment: str
) -> Iterator[Head]:
    """Start a head whose clients need a token, as Ray's clusters ask by default."""
    # Sockets lie in it, and their paths may not exceed 107 bytes.
    folder = tempfile.mkdtemp(prefix="ray")
    port, dashboard_port, agent_port = free_ports(3)
    # This machine's own: Ray would take it in place of localhost.
    address = ray.util.get_node_ip_address()
    shared = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
    command = [
        RAY, "start", "--head", "--block", f"--num-cpus={num_cpus}",
        f"--node-ip-address={address}", f"--port={port}", f"--temp-dir={folder}",
        f"--dashboard-port={dashboard_port}", "--dashboard-host=127.0.0.1",
        # Left alone it takes 52365, which the cluster of a test before may still hold:
        # it would start no job.
        f"--dashboard-agent-listen-port={agent_port}",
    ]  # fmt: skip
    if autoscaling is not None:
        autoscaling["provider"]["gcs_address"] = f"{address}:{port}"
        path = Path(folder) / "autoscaling.json"
        path.write_text(json.dumps(autoscaling))
        command.append(f"--autoscaling-config={path}")
    log = Path(folder) / "head.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env={**shared, **environment}, stdout=out, stderr=out
        )
    found = Head(
        address=f"{address}:{port}",
        dashboard=f"http://127.0.0.1:{dashboard_port}",
        environment=shared,
        folder=folder,
    )
    try:
        _await(found, process, log)
        yield found
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        _end_all(folder)
        shutil.rmtree(folder, ignore_errors=True)


def growing_head(
    groups: dict[str, dict], **provider: Any
) -> AbstractContextManager[Head]:
    """A head without CPUs, to which Ray's autoscaler adds nodes of these groups.

    Nodes are processes on this machine. `provider` is for another than Ray's fake one.
    """
    kinds = {
        name: {"node_config": {}, "min_workers": 0, "max_workers": 1, **group}
        for name, group in groups.items()
    }
    kinds["ray.head.default"] = {
        "resources": {"CPU": 0}, "node_config": {}, "max_workers": 0,
    }  # fmt: skip
    lists = (
        "cluster_synced_files", "rsync_exclude", "rsync_filter",
        "initialization_commands", "setup_commands", "head_setup_commands",
        "worker_setup_commands", "head_start_ray_commands", "worker_start_ray_commands",
    )  # fmt: skip
    autoscaling = {
        "cluster_name": "grows",
        "max_workers": len(groups),
        "upscaling_speed": 8,
        "idle_timeout_minutes": 0.1,
        "provider": {
            # By its class: the defaults of "fake_multinode" are not in every wheel.
            "type": "external",
            "module": FAKE_PROVIDER,
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
            "launch_multiple": True,
            "head_node_id": FAKE_HEAD_NODE_ID,
            **provider,
        },
        "available_node_types": kinds,
        "head_node_type": "ray.head.default",
        "auth": {}, "docker": {}, "file_mounts": {},
        "file_mounts_sync_continuously": False,
        **{name: [] for name in lists},
    }  # fmt: skip
    tests = Path(__file__).parent
    return head(
        num_cpus=0,
        autoscaling=autoscaling,
        AUTOSCALER_UPDATE_INTERVAL_S="1",
        RAY_FAKE_CLUSTER="1",
        RAY_enable_autoscaler_v2="1",
        RAY_CLOUD_INSTANCE_ID=FAKE_HEAD_NODE_ID,
        RAY_OVERRIDE_NODE_ID_FOR_TESTING=FAKE_HEAD_NODE_ID,
        PYTHONPATH=f"{tests.parents[1]}:{tests}",
    )


def kill_node(process: subprocess.Popen) -> None:
    """SIGKILL what `ray start` began, as a machine dies; its workers end by it."""
    for pid in [*children(process.pid), process.pid]:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def children(parent: int) -> list[int]:
    """Processes that a process started itself."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            status = (folder / "stat").read_text().rpartition(")")[2]
            if int(status.split()[1]) == parent:
                found.append(int(folder.name))
    return found


def free_ports(num: int) -> list[int]:
    """Different ports that nobody listens on now and the system gives to nobody."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < num:
            one, port = socket.socket(), 20_000 + secrets.randbelow(12_000)
            held.enter_context(one)
            with suppress(OSError):
                one.bind(("127.0.0.1", port))
                found.append(port)
    return found


def _await(head: Head, process: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        with suppress(URLError, OSError, KeyError):
            # The dashboard answers before the agent that starts jobs does.
            head.ask("/api/jobs/", b'{"entrypoint": "true"}')
            return
        time.sleep(1)
    raise AssertionError(f"the head does not answer: {log.read_text()}")


def _end_all(folder: str) -> None:
    """Kill the processes of this cluster that are still there."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if folder.encode() in (process / "cmdline").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)

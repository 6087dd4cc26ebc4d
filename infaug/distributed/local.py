"""Ray: the cluster that there is, or one on this machine that ends with its user.

python -m infaug.distributed.local       # JSON: what RAY_ADDRESS leads to
"""

import contextlib
import json
import logging
import os
import socket
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import ray

LOCALHOST = "127.0.0.1"
# Arrays up to this size travel with a call of the pool: the object store takes longer
# than the product of a small head (benchmarks/pool.py, size b: 1.3 becomes 1.6).
INLINE_BYTES = 2**20
ANSWER_S = 8  # for which `look` waits for an address of jobs


def connect(num_cpus: int) -> bool:
    """Join a cluster or start one here with so many CPUs; whether one was started."""
    if ray.is_initialized():
        return False
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=True)
        return False
    start_here(
        num_cpus=max(num_cpus, os.cpu_count() or 1),
        include_dashboard=True,  # Ray Train asks it who is alive.
        _system_config={"max_direct_call_object_size": INLINE_BYTES},
    )
    return True


def start_here(**settings: Any) -> None:
    """Start Ray on this machine, listening on localhost only; `ray.init` has settings.

    Variables name the Ray that its processes belong to. Left to themselves they take
    any that they find on the machine: Ray Train then looks for a training's controller
    in another's, does not find it, and ends the training's workers.
    """
    port = _free_port()
    variables = {"RAY_GCS_SERVER_PORT": f"{port}", "RAY_ADDRESS": f"{LOCALHOST}:{port}"}
    with _environment(variables):
        ray.init(
            "local", dashboard_host=LOCALHOST, _node_ip_address=LOCALHOST, **settings
        )


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind((LOCALHOST, 0))
        return taken.getsockname()[1]


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables that processes started meanwhile inherit."""
    before = {name: os.environ.pop(name, None) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


def look(address: str) -> dict[str, Any]:
    """What a cluster has; an address of jobs (http://) only gives its version.

    Raises:
        OSError: and others of Ray's, if it cannot be reached.
    """
    if address.startswith(("http://", "https://")):
        url = f"{address.rstrip('/')}/api/version"
        with urllib.request.urlopen(url, timeout=ANSWER_S) as reply:
            return {"ray": json.load(reply).get("ray_version")}
    ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    alive = [node for node in ray.nodes() if node["Alive"]]
    has = ray.cluster_resources()
    ray.shutdown()
    return {"nodes": len(alive), "CPU": has.get("CPU", 0), "GPU": has.get("GPU", 0)}


if __name__ == "__main__":
    print(json.dumps(look(os.environ["RAY_ADDRESS"])))

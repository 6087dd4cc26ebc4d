"""Ray: the cluster that there is, or one on this machine that ends with its user."""

import contextlib
import math
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import ray

from infaug.distributed.pool_growth import PoolShape

LOCALHOST = "127.0.0.1"
# Arrays up to this size travel with a call of the pool: the object store takes longer
# than the product of a small head (benchmarks/pool.py, size b: 1.3 becomes 1.6).
INLINE_BYTES = 2**20


def connect(workers: int, pool: PoolShape | None = None) -> bool:
    """Join a cluster or start one here; whether one was started."""
    if ray.is_initialized():
        return False
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=True)
        return False
    actors = math.ceil(pool.most * pool.resources.get("CPU", 0)) if pool else 0
    start_here(
        num_cpus=max(workers + actors, os.cpu_count() or 1),
        include_dashboard=True,  # Ray Train asks it who is alive.
        _system_config={"max_direct_call_object_size": INLINE_BYTES},
    )
    return True


def start_here(**settings: Any) -> None:
    """Start Ray on this machine, listening on localhost only; `ray.init` has settings.

    Its processes are told which Ray they belong to. Left to themselves they take any
    that they find on the machine: Ray Train then looks for a training's controller in
    another's, does not find it, and ends the training's workers.
    """
    port = _free_port()
    told = {"RAY_GCS_SERVER_PORT": f"{port}", "RAY_ADDRESS": f"{LOCALHOST}:{port}"}
    with _environment(told):
        ray.init(
            "local",
            dashboard_host=LOCALHOST,
            _node_ip_address=LOCALHOST,
            **settings,
        )


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind((LOCALHOST, 0))
        return taken.getsockname()[1]


@contextlib.contextmanager
def _environment(told: Mapping[str, str]) -> Iterator[None]:
    """Variables that processes started meanwhile inherit."""
    before = {name: os.environ.pop(name, None) for name in told}
    os.environ.update(told)
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value

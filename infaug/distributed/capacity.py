"""Capacity for a job: what its workers take, and nodes that come when requested."""

import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.autoscaler.sdk import request_resources
from ray.train import ScalingConfig
from ray.util.placement_group import placement_group, remove_placement_group

from infaug.count_range import CountRange
from infaug.distributed.pool_group import PoolShape
from infaug.distributed.ray_private import refused_groups

Bundle = dict[str, float]
ON_DEMAND = "on_demand"  # a resource that only on-demand groups have
REFUSED_S = 15.0  # of a launch that is refused; Ray itself asks again for ever
PENDING_S = 240.0  # a node takes minutes to start, also where spot has one
WATCH_S = 2.0


def worker_bundle(gpus: float | None) -> Bundle:
    """What one training worker takes."""
    return {"CPU": 1.0, "GPU": gpus} if gpus else {"CPU": 1.0}


def scaling_of(
    workers: CountRange,
    gpus_per_worker: float | None,
    pool: PoolShape | None,
    resize_s: float,
    *,
    is_awaited: bool,
) -> ScalingConfig:
    """How Ray Train is to scale.

    Args:
        workers: how many train together.
        gpus_per_worker: None for one each if the minimum can have one now, else none.
        pool: what solves beside them.
        resize_s: how often their number may change.
        is_awaited: whether nodes may still come, so that few CPUs are no mistake.

    Raises:
        ValueError: if the cluster has too few CPUs, or workers that come and go need
            what the pool takes.
    """
    have = ray.available_resources()  # what a pool has reserved is not
    if have.get("CPU", 0) < workers.min and not is_awaited:
        raise ValueError(
            f"the cluster has {have.get('CPU', 0):.0f} free CPUs, {workers} workers "
            "need one each: add nodes, lower --workers, or set --await-nodes where an "
            "autoscaler adds nodes"
        )
    if gpus_per_worker is None:
        gpus_per_worker = float(have.get("GPU", 0) >= workers.min)
    _refuse_shared_resource(workers, gpus_per_worker, pool)
    return ScalingConfig(
        num_workers=(workers.max if workers.is_one else (workers.min, workers.max)),
        elastic_resize_monitor_interval_s=resize_s,
        use_gpu=gpus_per_worker > 0,
        resources_per_worker=worker_bundle(gpus_per_worker),
    )


def _refuse_shared_resource(
    workers: CountRange, gpus: float, pool: PoolShape | None
) -> None:
    """Refuse a pool on what a changing number of workers also needs.

    Ray Train asks for as many workers as the nodes would hold without the pool, and
    waits for them for ever.
    """
    scarce = "GPU" if gpus else "CPU"
    if workers.is_one or pool is None or scarce not in pool.resources:
        return
    raise ValueError(
        f"--workers {workers} beside a pool that takes {scarce}s as well: workers do "
        "not see what the pool holds, and would wait for it for ever. Give the pool a "
        "resource of its own, which nodes get when they start (ray start "
        """--resources='{"solver": 2}'), and nothing else: """
        "--pool-resources solver=1"
    )


def await_capacity(
    worker: Bundle, num_workers: int, pool: PoolShape | None, wait_s: float
) -> None:
    """Have the autoscaler add what workers and pool need together, and wait for it.

    Workers and pool each reserve their own place later. Requested one after the other
    they would wait twice for nodes, and the pool for a minute only.

    Raises:
        ValueError: if not all of them can be placed in time.
    """
    actors = [pool.resources] * pool.min if pool else []
    bundles = [*[worker] * num_workers, *actors]
    group = placement_group([dict(bundle) for bundle in bundles])
    try:
        with Fallback(worker, num_workers):
            is_placed = group.wait(wait_s)
    finally:
        remove_placement_group(group)
    if not is_placed:
        raise ValueError(
            f"--await-nodes: within {wait_s:.0f} s there was no capacity for "
            f"{num_workers} workers of {worker} and {len(actors)} solver actors: the "
            f"cluster has {ray.cluster_resources()}; `infaug cluster check FILE` says "
            "whether it can ever have more"
        )


class Fallback:
    """Requests nodes for a job, on-demand ones while spot is refused: a context.

    Ray's autoscaler passes a group over when a launch times out, but asks again for one
    whose launch is refused at once (ALLOCATION_FAILED). On-demand groups therefore have
    a resource of their own, `on_demand`; requesting it leaves the autoscaler no other
    group.

    Args:
        worker: what each training worker takes.
        num_workers: how many must be there.
        refused_s: how long they may be missing after a launch was refused.
        pending_s: how long they may be missing in any case.
    """

    def __init__(
        self,
        worker: Bundle,
        num_workers: int,
        *,
        refused_s: float = REFUSED_S,
        pending_s: float = PENDING_S,
    ):
        self.worker, self.num_workers = worker, num_workers
        self.refused_s, self.pending_s = refused_s, pending_s
        self.is_requested = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Fallback":
        # At once, and as long as the job runs: Ray Train asks late for lost nodes.
        request_resources(bundles=[self.worker] * self.num_workers)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        request_resources(bundles=[])

    def _watch(self) -> None:
        complete_at, is_refused = time.monotonic(), False
        while not self._over.wait(min(WATCH_S, self.pending_s)):
            missing = self.num_workers - places_for(self.worker, ray.nodes())
            if missing <= 0:
                complete_at, is_refused = time.monotonic(), False
                continue
            is_refused |= bool(_refused_now())
            wait_s = self.refused_s if is_refused else self.pending_s
            if time.monotonic() - complete_at > wait_s and not self.is_requested:
                steady = {**self.worker, ON_DEMAND: 0.001}
                present = [self.worker] * (self.num_workers - missing)
                request_resources(bundles=[*present, *[steady] * missing])
                self.is_requested = True


def _refused_now() -> set[str]:
    """Groups whose launch was just refused; a head that is busy is asked again."""
    with contextlib.suppress(Exception):
        return refused_groups(ray.get_runtime_context().gcs_address)
    return set()


def places_for(worker: Bundle, nodes: Sequence[Mapping[str, Any]]) -> int:
    """How many workers the nodes of a cluster could hold if nothing else ran there."""
    totals = [node["Resources"] for node in nodes if node["Alive"]]
    return sum(
        min(int(total.get(name, 0) // amount) for name, amount in worker.items())
        for total in totals
    )

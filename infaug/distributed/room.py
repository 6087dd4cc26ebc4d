"""Room for a job: what its workers take, and nodes that come when asked for."""

from collections.abc import Sequence

import ray
from ray.train import ScalingConfig
from ray.util.placement_group import placement_group, remove_placement_group

from infaug.distributed.pool_growth import PoolShape
from infaug.span import Span


def worker_bundle(gpus: float | None) -> dict[str, float]:
    """What one training worker takes."""
    return {"CPU": 1.0, "GPU": gpus} if gpus else {"CPU": 1.0}


def scaling_of(
    workers: Span,
    gpus_per_worker: float | None,
    pool: PoolShape | None,
    resize_s: float,
    *,
    is_awaited: bool,
) -> ScalingConfig:
    """How Ray Train is to scale.

    Args:
        workers: how many train together.
        gpus_per_worker: None for one each if the least can have one now, else none.
        pool: what solves beside them.
        resize_s: how often their number may change.
        is_awaited: whether nodes may still come, so that few CPUs are no mistake.

    Raises:
        ValueError: if the cluster has too few CPUs, or workers that come and go need
            what the pool takes.
    """
    have = ray.available_resources()  # what a pool has reserved is not
    if have.get("CPU", 0) < workers.least and not is_awaited:
        raise ValueError(
            f"the cluster has {have.get('CPU', 0):.0f} free CPUs, {workers} workers "
            "need one each: add nodes, lower --workers, or set --await-nodes where an "
            "autoscaler adds nodes"
        )
    if gpus_per_worker is None:
        gpus_per_worker = float(have.get("GPU", 0) >= workers.least)
    _must_not_meet(workers, gpus_per_worker, pool)
    return ScalingConfig(
        num_workers=(workers.most if workers.is_one else (workers.least, workers.most)),
        elastic_resize_monitor_interval_s=resize_s,
        use_gpu=gpus_per_worker > 0,
        resources_per_worker=worker_bundle(gpus_per_worker),
    )


def _must_not_meet(workers: Span, gpus: float, pool: PoolShape | None) -> None:
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


def await_room(
    worker: dict[str, float], workers: int, pool: PoolShape | None, patience_s: float
) -> None:
    """Have the autoscaler add what workers and pool need together, and wait for it.

    Workers and pool each reserve their own place later. Asked for one after the other
    they would wait twice for nodes, and the pool for a minute only.

    Raises:
        ValueError: if there is no room for all of them in time.
    """
    actors = [pool.resources] * pool.least if pool else []
    if not _reserved([*[worker] * workers, *actors], patience_s):
        raise ValueError(
            f"--await-nodes: no room within {patience_s:.0f} s for {workers} workers "
            f"of {worker} and {len(actors)} solver actors: the cluster has "
            f"{ray.cluster_resources()}; `infaug cluster check FILE` says whether it "
            "can ever have more"
        )


def _reserved(bundles: Sequence[dict[str, float]], patience_s: float) -> bool:
    """Whether all bundles had room at once; they are given back."""
    group = placement_group([dict(bundle) for bundle in bundles])
    try:
        return group.wait(patience_s)
    finally:
        remove_placement_group(group)

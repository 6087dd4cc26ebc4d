"""Room for a job: what its workers take, and nodes that come when asked for."""

from collections.abc import Sequence

import ray
from ray.train import ScalingConfig
from ray.util.placement_group import placement_group, remove_placement_group

from infaug.distributed.pool_growth import PoolShape


def worker_bundle(gpus: float | None) -> dict[str, float]:
    """What one training worker takes."""
    return {"CPU": 1.0, "GPU": gpus} if gpus else {"CPU": 1.0}


def scaling_of(
    workers: int, gpus_per_worker: float | None, *, is_awaited: bool
) -> ScalingConfig:
    """How Ray Train is to scale.

    Args:
        workers: how many train together.
        gpus_per_worker: None for one each if all can have one now, else none.
        is_awaited: whether nodes may still come, so that few CPUs are no mistake.

    Raises:
        ValueError: if the cluster has too few CPUs.
    """
    have = ray.available_resources()  # what a pool has reserved is not
    if have.get("CPU", 0) < workers and not is_awaited:
        raise ValueError(
            f"the cluster has {have.get('CPU', 0):.0f} free CPUs, {workers} workers "
            "need one each: add nodes, lower --workers, or set --await-nodes where an "
            "autoscaler adds nodes"
        )
    if gpus_per_worker is None:
        gpus_per_worker = float(have.get("GPU", 0) >= workers)
    return ScalingConfig(
        num_workers=workers,
        use_gpu=gpus_per_worker > 0,
        resources_per_worker=worker_bundle(gpus_per_worker),
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

"""The same run on several workers: one TorchTrainer around `comparison.run`.

Ray places the workers, connects them, and starts them again when one dies; the run then
continues from its own checkpoint in the run folder, which all nodes must share. So the
folder is the same whether Ray was there or not.
"""

import contextlib
import math
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray
import ray.train
from ray.train import FailureConfig, ScalingConfig
from ray.train import RunConfig as RayRunConfig
from ray.train.torch import TorchConfig, TorchTrainer

from infaug.comparison.run import run
from infaug.config import RunConfig, from_dict, to_dict
from infaug.data.feed import Feed
from infaug.distributed.ingest import RayFeed
from infaug.distributed.metrics import RayMetrics
from infaug.distributed.pool import PoolSolver, SolverPool
from infaug.distributed.pool_actor import PoolError
from infaug.distributed.pool_growth import PoolShape
from infaug.distributed.room import await_room, scaling_of, worker_bundle
from infaug.record.folder import RunFolder

MAX_FAILURES = 3
# Arrays up to this size travel with a call of the pool: the object store takes longer
# than the product of a small head (benchmarks/pool.py, size b: 1.3 becomes 1.6).
INLINE_BYTES = 2**20


def fit_on_workers(
    config: RunConfig,
    out: Path,
    workers: int,
    *,
    cache: Path | None = None,
    shown: bool = True,
    pool: PoolShape | None = None,
    gpus_per_worker: float | None = None,
    patience_s: float = 0.0,
) -> dict[str, Any]:
    """`comparison.run` on `workers` Ray workers; the same result and files.

    A pool solves for s_val beside them, in a place that is reserved before theirs.
    With 0 workers this process trains, and only the pool is Ray's. A worker takes a CPU
    and `gpus_per_worker`; None: one GPU if all can have one now, else none. With
    `patience_s` the autoscaler is given that long to add what is missing.

    Connects to the cluster that RAY_ADDRESS names (a submitted job has it), else starts
    one on this machine that listens on localhost only.

    Raises:
        ValueError: whatever `comparison.run` refuses; too few CPUs or GPUs; a pool that
            cannot go on.
    """
    out = out.absolute()
    folder = RunFolder(out)
    folder.enter(config)
    if (finished := folder.result()) is not None:
        return finished
    if workers and config.classifier.batch_groups % workers:
        raise ValueError(
            f"classifier.batch_groups ({config.classifier.batch_groups}) must be a "
            f"multiple of the number of workers, got {workers} workers"
        )
    started_here = connect(workers, pool)
    try:
        if patience_s:
            await_room(worker_bundle(gpus_per_worker), workers, pool, patience_s)
        with contextlib.ExitStack() as stack:
            solver = stack.enter_context(SolverPool(pool)) if pool else None
            if not workers:
                return run(
                    config,
                    out,
                    cache=cache,
                    shown=shown,
                    solver=solver,
                    watchers=[RayMetrics()],
                )
            scaling = scaling_of(workers, gpus_per_worker, is_awaited=patience_s > 0)
            return _train(config, folder, scaling, cache, shown, solver)
    except PoolError as error:
        remedy = "the same command continues from the last checkpoint"
        raise ValueError(f"{error}; {remedy}") from error
    finally:
        if started_here:
            ray.shutdown()
        shutil.rmtree(out / "ray", ignore_errors=True)


@contextlib.contextmanager
def pool_alone(shape: PoolShape) -> Iterator[PoolSolver]:
    """A pool without training workers, in the cluster or in one started for it."""
    started_here = connect(0, shape)
    try:
        with SolverPool(shape) as solver:
            yield solver
    finally:
        if started_here:
            ray.shutdown()


def connect(workers: int, pool: PoolShape | None = None) -> bool:
    """Join a cluster or start one here; whether one was started."""
    if ray.is_initialized():
        return False
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=True)
        return False
    actors = math.ceil(pool.most * pool.resources.get("CPU", 0)) if pool else 0
    ray.init(
        num_cpus=max(workers + actors, os.cpu_count() or 1),
        # Ray Train asks the dashboard who is alive; it listens on localhost only.
        include_dashboard=True,
        dashboard_host="127.0.0.1",
        _node_ip_address="127.0.0.1",
        _system_config={"max_direct_call_object_size": INLINE_BYTES},
    )
    return True


def _train(
    config: RunConfig,
    folder: RunFolder,
    scaling: ScalingConfig,
    cache: Path | None,
    shown: bool,
    solver: PoolSolver | None,
) -> dict[str, Any]:
    trainer = TorchTrainer(
        _work,
        train_loop_config={
            "config": to_dict(config),
            "out": str(folder.path),
            "cache": str(cache.absolute()) if cache else None,
            "shown": shown,
            "solver": solver,
            "feed": _feed(scaling),
        },
        torch_config=TorchConfig(backend="nccl" if scaling.use_gpu else "gloo"),
        scaling_config=scaling,
        # A fresh name each time: Ray skips training if it finds a finished one's name.
        run_config=RayRunConfig(
            name=uuid.uuid4().hex,
            storage_path=str(folder.path / "ray"),
            failure_config=FailureConfig(max_failures=MAX_FAILURES),
        ),
    )
    trainer.fit()
    if (mistake := _mistake_file(folder)).exists():
        raise ValueError(mistake.read_text())
    result = folder.result()
    assert result is not None, "the workers end with a result or an error"
    return result


def _feed(scaling: ScalingConfig) -> Feed | None:
    """Ray Data where a cluster has CPUs left over, else threads of each worker."""
    assert isinstance(scaling.num_workers, int), "elastic training is to come"
    spare = ray.available_resources().get("CPU", 0) - scaling.num_workers
    return RayFeed() if os.environ.get("RAY_ADDRESS") and spare >= 1 else None


def _work(job: dict[str, Any]) -> None:
    """What every worker does.

    A user's mistake, which all workers find alike, is handed back and ends the work:
    raised, it would be tried again like a lost worker.
    """
    folder = RunFolder(Path(job["out"]))
    try:
        config, solver = from_dict(RunConfig, job["config"]), job["solver"]
        cache = Path(job["cache"]) if job["cache"] else None
        run(
            config,
            folder.path,
            cache=cache,
            shown=job["shown"],
            solver=solver,
            feed=job["feed"],
            watchers=[RayMetrics(ray.train.get_context().get_world_rank())],
        )
    except ValueError as error:
        if ray.train.get_context().get_world_rank() == 0:
            _mistake_file(folder).write_text(str(error))


def _mistake_file(folder: RunFolder) -> Path:
    return folder.path / "ray" / "mistake.txt"

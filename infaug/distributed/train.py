"""The same run on several workers: one TorchTrainer around `experiment.run`.

Ray places the workers, connects them, and starts them again when one dies or hangs or,
between their minimum and maximum, when nodes come and go. The run then continues from
its own checkpoint in the run folder, which all nodes must share: a disk they all see,
or a URL. So the folder is the same whether Ray was there or not.
"""

import contextlib
import os
import uuid
from functools import partial
from pathlib import Path
from typing import Any

import ray
import ray.train
from ray.train import FailureConfig, LoggingConfig, ScalingConfig
from ray.train import RunConfig as RayRunConfig
from ray.train.torch import TorchConfig, TorchTrainer

from infaug.config import DataConfig, RunConfig, from_dict, to_dict
from infaug.cores import usable_cores
from infaug.count_range import CountRange
from infaug.data.loader import load_in_threads
from infaug.distributed.capacity import (
    Fallback,
    await_capacity,
    scaling_of,
    worker_bundle,
)
from infaug.distributed.ingest import load_by_ray, pays
from infaug.distributed.local import connect
from infaug.distributed.metrics import RayMetrics
from infaug.distributed.notice import Leaving, drain_this_node, watch_node
from infaug.distributed.pool import PoolSolver, SolverPool
from infaug.distributed.pool_actor import PoolError
from infaug.distributed.pool_group import PoolShape
from infaug.distributed.restarts import (
    COLLECTIVE_TIMEOUT_S,
    count_attempt,
    fit_again,
    note_reason,
)
from infaug.experiment.run import run
from infaug.record.folder import RunFolder
from infaug.storage import Location, is_url, location
from infaug.training.train import Services
from infaug.transfer import remove
from infaug.world import World

# A worker that does not answer Ray for so long is stopped and replaced.
HUNG_AFTER_S = 45


def fit_on_workers(
    config: RunConfig,
    out: Path | str,
    workers: CountRange,
    *,
    cache: Path | None = None,
    shown: bool = True,
    pool: PoolShape | None = None,
    gpus_per_worker: float | None = None,
    await_s: float = 0.0,
    resize_s: float = 150.0,
) -> dict[str, Any]:
    """`experiment.run` on as many Ray workers; the same result and files.

    The global batch and the learning rate do not depend on how many there are; the
    bytes of the result do, by the order of summation. Every `resize_s`, which gathers
    nodes that arrive one by one, the workers become as many as the cluster can hold.

    A pool solves for s_val beside them, in a place that is reserved before theirs.
    With 0 workers this process trains, and only the pool is Ray's. A worker takes a CPU
    and `gpus_per_worker`; None: one GPU if the minimum can have one now, else none. The
    autoscaler is given `await_s` to add what is missing.

    Raises:
        ValueError: whatever `experiment.run` refuses; too few CPUs or GPUs; a pool that
            cannot go on.
    """
    folder = RunFolder(out if is_url(str(out)) else Path(out).absolute())
    folder.enter(config)
    if (finished := folder.result_of(config)) is not None:
        remove(_ray_files(folder))  # Its driver was killed after its workers.
        return finished
    World(size=max(workers.max, 1)).share(config.classifier.batch_groups)
    started_here = connect(workers.max + (pool.cpus if pool else 0))
    try:
        worker = worker_bundle(gpus_per_worker)
        if await_s:
            await_capacity(worker, workers.min, pool, await_s)
        with contextlib.ExitStack() as stack:
            if await_s and workers.max:
                stack.enter_context(Fallback(worker, workers.min))
            solver = stack.enter_context(SolverPool(pool)) if pool else None
            if not workers.max:
                services = Services(solver=solver, writers=[RayMetrics()])
                return run(
                    config, folder.place, cache=cache, shown=shown, services=services
                )
            scaling = scaling_of(
                workers, gpus_per_worker, pool, resize_s, is_awaited=await_s > 0
            )
            return _train(config, folder, scaling, cache, shown, solver)
    except PoolError as error:
        raise ValueError(
            f"{error}; the same command continues from the last checkpoint"
        ) from error
    finally:
        if started_here:
            ray.shutdown()
        remove(_ray_files(folder))


def _train(
    config: RunConfig,
    folder: RunFolder,
    scaling: ScalingConfig,
    cache: Path | None,
    shown: bool,
    solver: PoolSolver | None,
) -> dict[str, Any]:
    system, path = _ray_files(folder).opened
    os.environ.setdefault("RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S", f"{HUNG_AFTER_S}")
    job = {
        "config": to_dict(config),
        "here": os.getcwd(),
        "out": folder.place,
        "cache": str(cache.absolute()) if cache else None,
        "shown": shown,
        "solver": solver,
        "decodes_apart": _decodes_apart(config.data, scaling),
    }

    def build() -> TorchTrainer:
        return TorchTrainer(
            _work,
            train_loop_config=job,
            torch_config=TorchConfig(
                backend="nccl" if scaling.use_gpu else "gloo",
                timeout_s=COLLECTIVE_TIMEOUT_S,
            ),
            scaling_config=scaling,
            # A fresh name each time: Ray skips training under a finished one's name.
            run_config=RayRunConfig(
                name=uuid.uuid4().hex,
                storage_path=path,
                storage_filesystem=system,
                # Machines may die any number of times; `count_attempt` ends the run.
                failure_config=FailureConfig(max_failures=-1),
                # All of it is in Ray's own files; a job's log has lines for people.
                logging_config=LoggingConfig(log_level="ERROR"),
            ),
        )

    end = fit_again(build)
    if "mistake" in end:
        raise ValueError(end["mistake"])
    return end["result"]


def _ray_files(folder: RunFolder) -> Location:
    """Where Ray keeps its own files of a run: all nodes must see it."""
    home = folder.mirror.home if folder.mirror else location(str(folder.path))
    return home / "ray"


def _decodes_apart(data: DataConfig, scaling: ScalingConfig) -> bool:
    """Whether tasks of Ray Data decode, not threads of each worker.

    Who decodes on its GPU does so itself.
    """
    if not os.environ.get("RAY_ADDRESS") or data.decode == "device":
        return False
    num = scaling.max_workers
    spare = ray.available_resources().get("CPU", 0) - num
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return pays(nodes, spare, num, use_gpu=bool(scaling.use_gpu))


def _work(job: dict[str, Any]) -> dict[str, Any]:
    """What every worker does; Ray hands on what the first one returns.

    A user's mistake, which all workers find alike, is handed back and ends the work:
    raised, it would be tried again like a lost worker.
    """
    folder = RunFolder(job["out"])
    # Ray gives a worker its own folder, but paths were meant where they were typed.
    if Path(job["here"]).is_dir():
        os.chdir(job["here"])
    world, context = World.joined(), ray.train.get_context()
    threads = max(usable_cores() // context.get_local_world_size(), 1)
    loader = partial(load_in_threads, num=threads)
    loader_name = f"{threads} threads a worker"
    if job["decodes_apart"]:
        loader, loader_name = load_by_ray, "Ray Data"
    leaving = Leaving(world)
    if context.get_local_rank() == 0:
        watch_node(drain_this_node)
    try:
        world.first(lambda: count_attempt(folder, world.size))
        result = run(
            from_dict(RunConfig, job["config"]),
            folder.place,
            cache=Path(job["cache"]) if job["cache"] else None,
            shown=job["shown"],
            services=Services(
                solver=job["solver"],
                loader=loader,
                loader_name=loader_name,
                writers=[RayMetrics(context.get_world_rank())],
                is_leaving=leaving,
            ),
        )
    except ValueError as error:
        return {"mistake": str(error)}
    except Exception as error:
        if world.is_first:
            note_reason(folder, error)
        raise
    finally:
        leaving.watchdog.rest()
    return {"result": result}

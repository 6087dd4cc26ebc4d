"""The same run on several workers: one TorchTrainer around `comparison.run`.

Ray places the workers, connects them, and starts them again when one dies or, between
their least and most, when nodes come and go; the run then continues from its own
checkpoint in the run folder, which all nodes must share: a disk they all see, or a URL.
So the folder is the same whether Ray was there or not.
"""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray
import ray.train
from ray.train import FailureConfig, ScalingConfig
from ray.train import RunConfig as RayRunConfig
from ray.train.torch import TorchConfig, TorchTrainer

from infaug.config import RunConfig, from_dict, to_dict
from infaug.data.reader import Feed
from infaug.distributed.attempts import count_attempt
from infaug.distributed.ingest import RayFeed
from infaug.distributed.local import connect
from infaug.distributed.metrics import RayMetrics
from infaug.distributed.pool import PoolSolver, SolverPool
from infaug.distributed.pool_actor import PoolError
from infaug.distributed.pool_growth import PoolShape
from infaug.distributed.room import (
    await_room,
    scaling_of,
    worker_bundle,
)
from infaug.experiment.run import run
from infaug.record.folder import RunFolder
from infaug.span import Span
from infaug.storage import Location, is_url, location
from infaug.training.services import Services
from infaug.transfer import remove_folder
from infaug.world import World


def fit_on_workers(
    config: RunConfig,
    out: Path | str,
    workers: Span,
    *,
    cache: Path | None = None,
    shown: bool = True,
    pool: PoolShape | None = None,
    gpus_per_worker: float | None = None,
    patience_s: float = 0.0,
    resize_s: float = 60.0,
) -> dict[str, Any]:
    """`comparison.run` on as many Ray workers; the same result and files.

    The global batch and the learning rate do not depend on how many there are; the
    bytes of the result do, by the order of summation. Every `resize_s` the workers are
    made as many as the cluster has room for.

    A pool solves for s_val beside them, in a place that is reserved before theirs.
    With 0 workers this process trains, and only the pool is Ray's. A worker takes a CPU
    and `gpus_per_worker`; None: one GPU if the least can have one now, else none. With
    `patience_s` the autoscaler is given that long to add what is missing.

    Connects to the cluster that RAY_ADDRESS names (a submitted job has it), else starts
    one on this machine that listens on localhost only.

    Raises:
        ValueError: whatever `comparison.run` refuses; too few CPUs or GPUs; a pool that
            cannot go on.
    """
    folder = RunFolder(out if is_url(str(out)) else Path(out).absolute())
    folder.enter(config)
    if (finished := folder.result_of(config)) is not None:
        remove_folder(_books(folder))  # Its driver was killed after its workers.
        return finished
    World(size=max(workers.most, 1)).share(config.classifier.batch_groups)
    started_here = connect(workers.most, pool)
    try:
        if patience_s:
            await_room(worker_bundle(gpus_per_worker), workers.least, pool, patience_s)
        with contextlib.ExitStack() as stack:
            solver = stack.enter_context(SolverPool(pool)) if pool else None
            if not workers.most:
                return run(
                    config,
                    folder.place,
                    cache=cache,
                    shown=shown,
                    services=Services(solver=solver, watchers=[RayMetrics()]),
                )
            scaling = scaling_of(
                workers, gpus_per_worker, pool, resize_s, is_awaited=patience_s > 0
            )
            return _train(config, folder, scaling, cache, shown, solver)
    except PoolError as error:
        remedy = "the same command continues from the last checkpoint"
        raise ValueError(f"{error}; {remedy}") from error
    finally:
        if started_here:
            ray.shutdown()
        remove_folder(_books(folder))


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


def _train(
    config: RunConfig,
    folder: RunFolder,
    scaling: ScalingConfig,
    cache: Path | None,
    shown: bool,
    solver: PoolSolver | None,
) -> dict[str, Any]:
    system, path = _books(folder).opened
    trainer = TorchTrainer(
        _work,
        train_loop_config={
            "config": to_dict(config),
            "here": os.getcwd(),
            "out": folder.place,
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
            storage_path=path,
            storage_filesystem=system,
            # Machines may die any number of times; `count_attempt` knows when to stop.
            failure_config=FailureConfig(max_failures=-1),
        ),
    )
    end = trainer.fit().return_value
    assert end is not None, "the workers end with a result or a mistake"
    if "mistake" in end:
        raise ValueError(end["mistake"])
    return end["result"]


def _books(folder: RunFolder) -> Location:
    """Where Ray keeps its own books of a run: all nodes must see it."""
    home = folder.mirror.home if folder.mirror else location(str(folder.path))
    return home / "ray"


def _feed(scaling: ScalingConfig) -> Feed | None:
    """Ray Data where a cluster has CPUs left over, else threads of each worker."""
    spare = ray.available_resources().get("CPU", 0) - scaling.max_workers
    return RayFeed() if os.environ.get("RAY_ADDRESS") and spare >= 1 else None


def _work(job: dict[str, Any]) -> dict[str, Any]:
    """What every worker does; Ray hands on what the first one returns.

    A user's mistake, which all workers find alike, is handed back and ends the work:
    raised, it would be tried again like a lost worker.
    """
    folder = RunFolder(job["out"])
    # Ray gives a worker its own folder, but paths were meant where they were typed.
    if Path(job["here"]).is_dir():
        os.chdir(job["here"])
    try:
        World.joined().first(lambda: count_attempt(folder))
        result = run(
            from_dict(RunConfig, job["config"]),
            folder.place,
            cache=Path(job["cache"]) if job["cache"] else None,
            shown=job["shown"],
            services=Services(
                solver=job["solver"],
                feed=job["feed"],
                watchers=[RayMetrics(ray.train.get_context().get_world_rank())],
                is_leaving=_is_leaving,
            ),
        )
    except ValueError as error:
        return {"mistake": str(error)}
    return {"result": result}


def _is_leaving() -> bool:
    """Whether a node of this training has been given notice."""
    return ray.train.get_preemption_info() is not None

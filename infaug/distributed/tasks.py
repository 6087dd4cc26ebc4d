"""Jobs as Ray tasks, some at a time: trainings of tables, shards of Parquet.

A task can be repeated when its worker dies: one that trains continues from its
training's folder, one that writes leaves the whole file or none. All nodes must see
folders and sources.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import ray
from ray.exceptions import RayTaskError

from infaug.data.shard_file import Shard, Written, write_shard
from infaug.distributed.local import connect

Job = TypeVar("Job")
Result = TypeVar("Result")
Ready = Callable[[Sequence[Job], Iterable[Job]], Sequence[Job]]

MAX_RETRIES = 3  # of a task whose worker died
CANCEL_S = 10.0  # for tasks to end that are killed


def write_on_ray(
    shards: Sequence[Shard],
    folder: Path,
    note: Callable[[int], None],
    *,
    at_a_time: int,
) -> Generator[Written, None, None]:
    """Write shards on a cluster, yielding a description of each as it ends.

    Raises:
        ValueError: what a task refused; those that still run are given up.
    """
    work = partial(write_shard, folder=folder.absolute())
    for shard, written in in_tasks(work, shards, at_a_time=at_a_time):
        note(len(shard.images))
        yield written


def in_tasks(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    at_a_time: int,
    cpus: float = 1,
    gpus: float = 0,
    ready: Ready[Job] = lambda waiting, _: waiting,
) -> Iterator[tuple[Job, Result]]:
    """Do jobs on a cluster, yielding each with its result as it ends.

    Raises:
        ValueError: the mistake that a task refused; those that run are given up.
    """
    started_here = connect(at_a_time)
    task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=MAX_RETRIES)(_do)
    waiting, running = list(jobs), {}
    try:
        while waiting or running:
            free = at_a_time - len(running)
            for job in list(ready(waiting, running.values()))[:free]:
                waiting.remove(job)
                running[task.remote(work, job)] = job
            (done,), _ = ray.wait(list(running), num_returns=1)
            yield running.pop(done), _result(done)
    finally:
        for left in running:
            ray.cancel(left, force=True)
        if running:  # What they leave half-written can be removed once they are gone.
            ray.wait(list(running), num_returns=len(running), timeout=CANCEL_S)
        if started_here:
            ray.shutdown()


def _do(work: Callable[[Job], Result], job: Job) -> Result:
    return work(job)


def _result(reference: "ray.ObjectRef[Result]") -> Result:
    try:
        return ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, ValueError):
            raise ValueError(str(error.cause)) from error
        raise

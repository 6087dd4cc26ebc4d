"""Jobs as Ray tasks: some at a time, each found as it ends."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import ray
from ray.exceptions import RayTaskError

from infaug.distributed.local import connect

Job = TypeVar("Job")
Found = TypeVar("Found")
Ready = Callable[[Sequence[Job], Iterable[Job]], Sequence[Job]]

MAX_RETRIES = 3  # of a task whose worker died


def _all(waiting: Sequence[Job], running: Iterable[Job]) -> Sequence[Job]:
    del running
    return waiting


def in_tasks(
    work: Callable[[Job], Found],
    jobs: Sequence[Job],
    *,
    at_a_time: int,
    cpus: float = 1,
    gpus: float = 0,
    ready: Ready[Job] = _all,
) -> Iterator[tuple[Job, Found]]:
    """Do jobs on a cluster, yielding each with what it found as it ends.

    Args:
        work: does one; it can be repeated.
        jobs: what is to be done.
        at_a_time: how many are done together.
        cpus: of each.
        gpus: of each, or part of one.
        ready: of those that wait, which may begin beside those that run.

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
        if started_here:
            ray.shutdown()


def _do(work: Callable[[Job], Found], job: Job) -> Found:
    return work(job)


def _result(reference: "ray.ObjectRef[Found]") -> Found:
    try:
        return ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, ValueError):
            raise ValueError(str(error.cause)) from error
        raise

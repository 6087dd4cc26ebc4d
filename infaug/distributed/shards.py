"""Parquet shards as Ray tasks, many at a time.

A task is a function of its shard and leaves the whole file or none, so Ray may repeat
it when its worker dies. Source and folder must be seen by all nodes.
"""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import ray

from infaug.data.shard_file import Shard, Written, write_shard
from infaug.distributed.tasks import MAX_RETRIES, result
from infaug.distributed.train import connect


def write_on_ray(
    shards: Sequence[Shard],
    folder: Path,
    note: Callable[[int], None],
    *,
    at_a_time: int,
) -> Generator[Written, None, None]:
    """Write shards on a cluster, yielding what each came to as it ends.

    Args:
        shards: what to write.
        folder: where, as all nodes see it.
        note: told how many images are done, shard by shard.
        at_a_time: how many shards are written together, each on one CPU.

    Raises:
        ValueError: what a task refused; those that are still running are given up.
    """
    started_here = connect(at_a_time)
    task = ray.remote(num_cpus=1, max_retries=MAX_RETRIES)(_write)
    waiting, running = deque(shards), {}
    try:
        while waiting or running:
            while waiting and len(running) < at_a_time:
                shard = waiting.popleft()
                running[task.remote(shard, folder.absolute())] = shard
            (done,), _ = ray.wait(list(running), num_returns=1)
            shard = running.pop(done)
            written = result(done)
            note(len(shard.labels))
            yield written
    finally:
        for left in running:
            ray.cancel(left, force=True)
        if started_here:
            ray.shutdown()


def _write(shard: Shard, folder: Path) -> Written:
    return write_shard(shard, folder)

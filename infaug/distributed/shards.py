"""Parquet shards as Ray tasks, many at a time.

A task is a function of its shard and leaves the whole file or none, so Ray may repeat
it when its worker dies. Source and folder must be seen by all nodes.
"""

from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path

from infaug.data.shard_file import Shard, Written, write_shard
from infaug.distributed.tasks import in_tasks


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
    work = partial(write_shard, folder=folder.absolute())
    for shard, written in in_tasks(work, shards, at_a_time=at_a_time):
        note(len(shard.labels))
        yield written

"""Cells of tables as Ray tasks: each is one process's work, many run at a time.

A task is a function of its arguments and continues from its cell's own run folder, so
Ray may repeat it when its worker dies. The folders must be seen by all nodes.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from infaug.distributed.tasks import in_tasks
from infaug.experiment.grid import Work
from infaug.experiment.grid_run import Site, run_grid_cell
from infaug.experiment.results import Record


def run_on_ray(
    works: Sequence[Work],
    site: Site,
    *,
    at_a_time: int,
    cpus: float = 1,
    gpus: float = 0,
) -> Iterator[Record]:
    """Run cells on a cluster, yielding what each found as it ends.

    A cell waits for the one it needs, if that is to be run too: both write to one
    folder.

    Args:
        works: the cells.
        site: paths that all nodes see.
        at_a_time: how many run together.
        cpus: threads of each.
        gpus: part of a GPU for each.

    Raises:
        ValueError: what a cell refused; cells that are still running are given up.
    """
    work = partial(run_grid_cell, site=site, shown=False)
    done = in_tasks(
        work, works, at_a_time=at_a_time, cpus=cpus, gpus=gpus, ready=_ready
    )
    for _, record in done:
        yield record


def _ready(waiting: Sequence[Work], running: Iterable[Work]) -> list[Work]:
    """Those whose needed cell neither waits nor runs."""
    unfinished = {work.cell for work in (*waiting, *running)}
    return [work for work in waiting if work.cell.needs not in unfinished]

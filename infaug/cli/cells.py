"""Cells of tables run from a command: what is missing, here or on Ray."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infaug.experiment.grid import Work
    from infaug.experiment.grid_run import Site
    from infaug.experiment.results import Results


def run_missing(
    works: "Sequence[Work]",
    results: "Results",
    site: "Site",
    *,
    workers: int,
    gpus: float = 0.0,
    cpus: int = 1,
    shown: bool = True,
) -> None:
    """Run the cells that have no result yet, adding each as it ends.

    Args:
        works: all cells.
        results: what is there.
        site: where they run.
        workers: cells at a time on Ray; 0: one after another in this process.
        gpus: of each, or a part of one.
        cpus: threads of each on Ray.
        shown: whether progress is told.

    Raises:
        ValueError: whatever a cell refuses.
    """
    missing = [work for work in works if work.cell not in results]
    if shown:
        done = len(works) - len(missing)
        print(f"{done} cells are done, {len(missing)} to run", file=sys.stderr)
    if not missing:
        return
    if workers:
        from infaug.distributed.tasks import run_on_ray  # imports ray

        found = run_on_ray(missing, site, at_a_time=workers, cpus=cpus, gpus=gpus)
    else:
        from infaug.experiment.grid_run import run_here

        found = run_here(missing, site, shown=shown)
    for number, record in enumerate(found, start=1):
        results.add(record)
        if shown:
            words = f"{record['row']} seed {record['seed']}: {record['test_top1']:.2f}"
            line = f"[{number}/{len(missing)}] {words} % in {record['seconds']:.0f} s"
            print(line, file=sys.stderr, flush=True)

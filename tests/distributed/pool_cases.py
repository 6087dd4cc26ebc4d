"""A cluster for the pool's tests, and the problem they solve."""

from contextlib import contextmanager
from dataclasses import replace

import torch
from resolved import resolved
from tiny import CONFIG

from infaug.data.problem import Splits, load_splits
from infaug.training.methods import METHODS
from infaug.training.snapshot import Snapshot
from infaug.training.solve import take_snapshot
from infaug.training.state import Training
from infaug.world import World

SHARDED = replace(
    CONFIG,
    data=replace(CONFIG.data, labels=1050, target=200),
    influence=replace(CONFIG.influence, shards=4, rtol=1e-5),
)


@contextmanager
def cluster(num_cpus: int = 4, **more):
    """Ray on this machine, ended by what started it."""
    import ray

    from infaug.distributed.local import start_here

    start_here(num_cpus=num_cpus, include_dashboard=False, log_to_driver=False, **more)
    try:
        yield ray
    finally:
        ray.shutdown()


def problem() -> tuple[Snapshot, Splits, Training]:
    """1,050 digits in five chunks, seen in two views by an untrained F."""
    splits, config = load_splits(SHARDED.data), resolved(SHARDED)
    cell = Training(
        METHODS["base_learned"], 0, splits, config, World(), torch.device("cpu")
    )
    cell.classifier.eval()
    snapshot = take_snapshot(
        cell.classifier, cell.augments, config.influence, 0, "test", start=cell.s_val
    )
    return snapshot, splits, cell

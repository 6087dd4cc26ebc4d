"""A cluster for the pool's tests, and the problem they solve."""

from contextlib import contextmanager
from dataclasses import replace

from resolved import training_of
from tiny import CONFIG

from infaug.data.problem import Splits, load_splits
from infaug.training.snapshot import Snapshot
from infaug.training.solve import take_snapshot
from infaug.training.state import Training

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
    splits = load_splits(SHARDED.data)
    training = training_of("base_learned", splits, SHARDED)
    training.classifier.eval()
    influence = training.config.influence
    snapshot = take_snapshot(
        training.classifier,
        training.augments,
        influence,
        0,
        "test",
        start=training.s_val,
    )
    return snapshot, splits, training

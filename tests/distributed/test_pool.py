"""The pool's S is the local S, whoever computes it; its faults are told."""

import time
from dataclasses import replace

import numpy as np
import pytest
from killed import contents
from tiny import CONFIG, tiny

from infaug.config import DataConfig
from infaug.count_range import CountRange
from infaug.data.on_disk import OnDisk
from infaug.data.source import load
from infaug.experiment.run import run
from infaug.record.folder import RunFolder
from infaug.training.solve import solve_snapshot
from infaug.training.train import Services
from infaug.world import World

from .pool_cases import cluster, problem
from .streamed import write_digits

pytest.importorskip("ray")
pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def ray():
    with cluster() as ray:
        yield ray


@pytest.fixture(scope="module")
def pool(ray):
    from infaug.distributed.pool import SolverPool
    from infaug.distributed.pool_group import PoolShape

    pool = SolverPool(PoolShape(min=2, max=2))
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def given():
    return problem()


@pytest.fixture(scope="module")
def local(given):
    snapshot, splits, training = given
    config = training.config.influence
    return solve_snapshot(snapshot, training.train, splits.influence, config, World())


def submit(pool, given):
    snapshot, splits, training = given
    config = training.config.influence
    return pool.solver.submit(snapshot, training.train, splits.influence, config)


def test_two_actors_give_the_bytes_of_the_local_solution(pool, given, local):
    solved = submit(pool, given).result()
    assert solved.solution.value.equal(local.value)
    assert solved.solution.residual == local.residual
    assert solved.seconds > 0


def test_a_gradient_in_several_shards_has_the_bytes_of_the_local_one(pool, given):
    snapshot, _, training = given
    config, split = training.config.influence, training.train  # more than one chunk
    here = solve_snapshot(snapshot, training.train, split, config, World())
    pending = pool.solver.submit(snapshot, training.train, split, config)
    assert pending.result().solution.value.equal(here.value)


def test_images_on_disk_are_read_by_the_actors(pool, given, tmp_path, monkeypatch):
    snapshot, splits, training = given
    write_digits(tmp_path / "images", 1050)
    monkeypatch.chdir(tmp_path)  # Actors are not there.
    data = DataConfig(source="images", stream_above_gib=0, image_size=16, mode="L")
    stored = load(data).train
    assert isinstance(stored, OnDisk)
    whole, config = stored.select_all(), training.config.influence
    here = solve_snapshot(snapshot, whole, splits.influence, config, World())
    pending = pool.solver.submit(snapshot, stored, splits.influence, config)
    assert pending.result().solution.value.equal(here.value)
    here = solve_snapshot(snapshot, whole, whole, config, World())
    for _ in range(2):  # The second time from the files of the first.
        pending = pool.solver.submit(snapshot, stored, stored, config)
        assert pending.result().solution.value.equal(here.value)


@pytest.mark.parametrize("solver", ["cg", "pcg", "refined", "lissa"])
def test_every_solver_gives_its_local_bytes(pool, given, solver):
    snapshot, splits, training = given
    config = replace(
        training.config.influence,
        solver=solver,
        rtol=1e-2,
        max_products=60,
        damping=0.1,
    )
    here = solve_snapshot(snapshot, training.train, splits.influence, config, World())
    pending = pool.solver.submit(snapshot, training.train, splits.influence, config)
    there = pending.result().solution
    assert there.value.equal(here.value)
    assert (there.num_products, there.spread) == (here.num_products, here.spread)


def test_whole_recursions_run_side_by_side_and_come_back_in_order(pool):
    import numpy

    found = pool.solver.apply(numpy.full, [((2,), float(seed)) for seed in range(5)])
    assert np.array_equal(np.array(found)[:, 0], np.arange(5.0))


def test_what_a_snapshot_lacks_is_a_value_error_here(pool, given):
    snapshot, *_ = given
    snapshot.classifier.train()
    try:
        with pytest.raises(ValueError, match="training mode"):
            submit(pool, given).result()
    finally:
        snapshot.classifier.eval()


def test_a_pool_that_does_not_fit_is_refused_with_what_is_free(ray):
    from infaug.distributed.pool import SolverPool
    from infaug.distributed.pool_group import PoolShape

    with pytest.raises(ValueError, match="no capacity for 9 solver actors"):
        SolverPool(PoolShape(min=9, max=9), reserve_s=2)


@pytest.mark.slow
def test_a_pool_grows_into_what_is_free_and_gives_it_back(ray, pool, given, local):
    from infaug.distributed.pool import SolverPool
    from infaug.distributed.pool_group import PoolShape

    assert ray.available_resources()["CPU"] == 2
    growing = SolverPool(PoolShape(min=1, max=3))
    try:
        assert submit(growing, given).result().solution.value.equal(local.value)
        assert ray.get(growing.coordinator.size.remote(), timeout=60) == 2
    finally:
        growing.close()
    until = time.monotonic() + 30
    while ray.available_resources().get("CPU", 0) < 2:
        assert time.monotonic() < until, "the extra actor's place was not given back"
        time.sleep(0.5)


def test_an_overlapped_run_with_a_pool_has_the_bytes_of_the_run_alone(pool, tmp_path):
    rounds = replace(CONFIG.rounds, refresh="overlap", refresh_lag=4)
    config = tiny(controls="none", rounds=rounds)
    run(config, tmp_path / "alone", shown=False)
    with pytest.warns(UserWarning, match="1 of 2 solver actors have nothing to do"):
        run(
            config,
            tmp_path / "pool",
            shown=False,
            services=Services(solver=pool.solver),
        )
    assert contents(tmp_path / "alone") == contents(tmp_path / "pool")
    timings = RunFolder(tmp_path / "pool").lines("timings.jsonl")
    assert all("waited_seconds" in t for t in timings if t["phase"] == "refresh")


@pytest.mark.slow
def test_training_workers_with_a_pool_end_with_the_bytes_of_those_without(
    ray, pool, tmp_path
):
    from infaug.distributed.pool_group import PoolShape
    from infaug.distributed.train import fit_on_workers

    pool.close()  # its CPUs are needed
    rounds = replace(CONFIG.rounds, refresh="overlap", refresh_lag=4)
    config = tiny(controls="none", rounds=rounds)
    fit_on_workers(config, tmp_path / "without", CountRange(min=2, max=2), shown=False)
    shape = PoolShape(min=1, max=2)
    fit_on_workers(
        config, tmp_path / "with", CountRange(min=2, max=2), shown=False, pool=shape
    )
    assert contents(tmp_path / "without") == contents(tmp_path / "with")


@pytest.mark.parametrize("text", ["0", "3..2", "two", "1..x"])
def test_a_shape_that_is_none_is_refused(text):
    from infaug.distributed.pool_group import PoolShape

    with pytest.raises(ValueError, match="--pool must"):
        PoolShape.parse(text)

"""Machines that are refused, lost, slow or late: a run goes on, to its own bytes.

Each is a test of `make chaos`, and prints what it took.
"""

import os
import signal
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from killed import contents
from test_lock import hold
from tiny import CONFIG as TINY

from infaug.count_range import CountRange

from .elastic import CONFIG, alone, await_workers, start, workers_of
from .heads import growing_head, head
from .victims import kill_group, pids

pytest.importorskip("ray")
import ray

from infaug.distributed.pool import PoolSolver

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.chaos]

SHORT = replace(
    CONFIG,
    rounds=replace(CONFIG.rounds, classifier_steps=200, checkpoint_every_steps=10),
)


def seconds_until(is_true, limit_s: float, what: str) -> float:
    began = time.monotonic()
    while not is_true():
        assert time.monotonic() < began + limit_s, what
        time.sleep(0.2)
    return time.monotonic() - began


@pytest.mark.timeout(1800)
def test_where_spot_is_refused_an_on_demand_node_comes_and_training_goes_on(tmp_path):
    groups = {
        "spot": {"resources": {"CPU": 1}, "priority": 1},
        "on_demand": {"resources": {"CPU": 1, "on_demand": 1}, "priority": 0},
    }
    cloud = {"module": "fake_cloud.RefusingProvider"}
    refuses, out = tmp_path / "refuses", tmp_path / "spot"
    with growing_head(groups, refuses=str(refuses), **cloud) as cluster:
        running = start(cluster, out, most=1, await_s=300)
        await_workers(1, running, out)
        assert "on_demand" not in cluster.groups(), "spot comes first"
        refuses.touch()
        kill_group("spot")
        seconds = seconds_until(
            lambda: "on_demand" in cluster.groups(), 60, "no on-demand node comes"
        )
        print(f"CHAOS 1 of 1: an on-demand node {seconds:.0f} s after spot was lost")
        seconds_until(lambda: len(workers_of(out)) > 1, 120, "training stands still")
        await_workers(1, running, out)
        running.kill()
        running.wait()


@pytest.mark.timeout(1800)
def test_a_stopped_worker_is_replaced_in_two_minutes_and_the_bytes_are_the_same(
    tmp_path,
):
    out, calm = tmp_path / "stopped", tmp_path / "calm"
    undisturbed = alone(calm, SHORT)  # Most of what comes is waiting for Ray.
    with head(num_cpus=1) as cluster:
        running = start(cluster, out, SHORT)
        await_workers(1, running, out)
        (worker,) = pids("training worker", cluster)
        os.kill(worker, signal.SIGSTOP)
        seconds = seconds_until(
            lambda: len(workers_of(out)) > 1, 120, "it is not replaced"
        )
        print(f"CHAOS 1 of 1: a stopped worker was replaced after {seconds:.0f} s")
        assert running.wait(400) == 0, out.with_suffix(".log").read_text()
    assert undisturbed.wait(400) == 0
    assert contents(out) == contents(calm)


@pytest.mark.timeout(1800)
def test_a_lock_that_a_dead_host_held_for_90_s_delays_a_run_and_does_not_end_it(
    tmp_path,
):
    out, calm = tmp_path / "late", tmp_path / "calm"
    out.mkdir()
    expire = hold(out / "lock", "gone")
    threading.Timer(90, expire).start()  # as the server does when the lease is over
    began = time.monotonic()
    late, undisturbed = alone(out, TINY), alone(calm, TINY)
    assert undisturbed.wait(400) == 0
    assert late.wait(400) == 0
    seconds = time.monotonic() - began
    print(f"CHAOS 1 of 1: a run behind a dead host's lock took {seconds:.0f} s")
    assert seconds >= 90
    assert contents(out) == contents(calm)


@pytest.mark.timeout(1800)
def test_eight_nodes_that_come_one_by_one_cause_two_restarts_at_most(tmp_path):
    """In a quarter of the time: a node in 5 s, not 20, and --resize-s 37.5, not 150."""
    nine = {"batch_groups": 9, "batch_size": 90}
    config = replace(
        CONFIG,
        classifier=replace(CONFIG.classifier, **nine),
        adversarial=replace(CONFIG.adversarial, batch_size=9),
        estimator=replace(CONFIG.estimator, batch_size=18),
        rounds=replace(CONFIG.rounds, classifier_steps=100_000),
    )
    out = tmp_path / "grows"
    with head(num_cpus=1) as cluster, ExitStack() as nodes:
        running = start(cluster, out, config, most=9, resize_s=37.5)
        await_workers(1, running, out)
        began = time.monotonic()
        for number in range(8):
            time.sleep(max(0.0, began + 5 * number - time.monotonic()))
            nodes.enter_context(cluster.node(1))
        arrived = time.monotonic() - began
        await_workers(9, running, out)
        print(f"CHAOS 1 of 1: nodes came in {arrived:.0f} s, workers {workers_of(out)}")
        running.kill()
        running.wait()
    assert len(workers_of(out)) - 1 <= 2


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A small Ray on this machine, to which this module is sent by value."""
    from infaug.distributed.local import start_here

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    module = sys.modules[__name__]
    ray.cloudpickle.register_pickle_by_value(module)
    start_here(num_cpus=4, log_to_driver=False)
    yield
    ray.shutdown()
    ray.cloudpickle.unregister_pickle_by_value(module)


def marked(folder: Path, times: int) -> bool:
    """Leave one more mark in a folder; whether there were fewer than so many."""
    number = len(list(folder.iterdir()))
    (folder / str(number)).touch()
    return number < times


@pytest.mark.timeout(1800)
def test_workers_whose_setup_fails_three_times_train_in_the_end(
    here, tmp_path, monkeypatch
):
    from infaug.distributed import restarts, train

    class Failing(train.TorchConfig):
        """Workers that cannot be connected, three times."""

        @property
        def backend_cls(self):
            real = super().backend_cls

            class Backend(real):
                def on_start(self, *given):
                    if marked(tmp_path / "marks", 3):
                        raise RuntimeError("the node left meanwhile")
                    super().on_start(*given)

            return Backend

    (tmp_path / "marks").mkdir()
    monkeypatch.setattr(restarts, "SETUP_PAUSE_S", 0.1)
    monkeypatch.setattr(train, "TorchConfig", Failing)
    began = time.monotonic()
    config = replace(TINY, methods=("base",))
    result = train.fit_on_workers(
        config, tmp_path / "run", CountRange(min=2, max=2), shown=False
    )
    seconds = time.monotonic() - began
    assert len(list((tmp_path / "marks").iterdir())) == 4
    assert "methods" in result
    print(f"CHAOS 1 of 1: trained after three setups that failed, {seconds:.0f} s")


class Slow(PoolSolver):
    """A pool whose first answer comes a minute late."""

    def __init__(self, solver: PoolSolver, marks: Path):
        super().__init__(solver.coordinator, solver.num_actors)
        self.solver, self.marks = solver, marks

    def submit(self, *given):
        """Hand over; the answer is held back."""
        late_s = 60.0 if marked(self.marks, 1) else 0.0
        return Late(self.solver.submit(*given), time.monotonic() + late_s)


class Late:
    """An answer that is held back until a time."""

    def __init__(self, pending, at: float):
        self.pending, self.at = pending, at

    def wait(self, timeout_s: float) -> bool:
        """Whether it is there by now."""
        left_s = self.at - time.monotonic()
        if left_s > 0:
            time.sleep(min(left_s, timeout_s))
            return False
        return self.pending.wait(timeout_s)

    def result(self):
        """The answer."""
        return self.pending.result()


class SlowPool:
    """A solver pool that is slow."""

    def __init__(self, shape, marks: Path, pool):
        self.pool, self.marks = pool(shape), marks

    def __enter__(self) -> Slow:
        return Slow(self.pool.__enter__(), self.marks)

    def __exit__(self, *given) -> None:
        self.pool.__exit__(*given)


@pytest.mark.timeout(1800)
def test_no_collective_waits_for_a_slow_solver_and_the_bytes_are_the_same(
    here, tmp_path, monkeypatch
):
    from infaug.distributed import train
    from infaug.distributed.pool_group import PoolShape

    config = replace(
        TINY,
        methods=("base_learned",),
        rounds=replace(TINY.rounds, refresh="overlap", refresh_lag=2),
    )
    marks, pool = tmp_path / "marks", train.SolverPool
    marks.mkdir()
    given = {"pool": PoolShape(), "shown": False}
    monkeypatch.setattr(train, "COLLECTIVE_TIMEOUT_S", 20)
    train.fit_on_workers(config, tmp_path / "calm", CountRange(min=2, max=2), **given)
    monkeypatch.setattr(train, "SolverPool", partial(SlowPool, marks=marks, pool=pool))
    began = time.monotonic()
    train.fit_on_workers(config, tmp_path / "slow", CountRange(min=2, max=2), **given)
    seconds = time.monotonic() - began
    print(f"CHAOS 1 of 1: a solver of 60 s behind a timeout of 20 s, {seconds:.0f} s")
    assert seconds > 60
    assert contents(tmp_path / "slow") == contents(tmp_path / "calm")
    assert workers_of(tmp_path / "slow") == [2]

"""A forecast names what is waited for."""

import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from infaug.cluster.forecast import (
    EIGHT_A100,
    ONE_A10G,
    SPOT_A10G,
    Network,
    describe,
    forecast,
)

JOB = Path(__file__).parents[2] / "ray_jobs" / "imagenet.py"


@pytest.fixture(scope="module")
def config():
    return runpy.run_path(str(JOB))["CONFIG"]


def test_the_same_work_takes_as_many_times_longer_as_workers_are_slower(config):
    fast, slow = (
        forecast(config, machines, 50_000, Network())
        for machines in (EIGHT_A100, ONE_A10G)
    )
    assert slow.compute_h / fast.compute_h == pytest.approx(8 * 2600 / 700)
    assert fast.communication_h == slow.communication_h == 0


def test_a_slow_network_and_few_cores_are_waited_for(config):
    found = forecast(config, SPOT_A10G, 50_000, Network())
    assert found.communication_h > 0
    assert found.input_h == 0
    starved = forecast(config, replace(EIGHT_A100, cpus=1), 50_000, Network())
    assert starved.input_h > starved.compute_h


def test_every_part_is_a_line_and_they_add_up(config):
    for machines in (EIGHT_A100, SPOT_A10G, ONE_A10G):
        found = forecast(config, machines, 50_000, Network())
        head, *lines = describe(machines, found)
        words = ("compute", "input", "communication", "refresh", "restarts")
        assert [line.split()[0] for line in lines] == list(words)
        parts = [float(line.split()[1]) for line in lines]
        assert sum(parts) == pytest.approx(found.hours, abs=0.3)
        assert machines.name in head

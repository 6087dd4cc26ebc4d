"""A worker that does nothing for long is ended; one that works or waits is not."""

import time

import pytest

pytest.importorskip("ray")
from infaug.distributed.restarts import Watchdog
from infaug.timer import Timer

MIN_S = 0.5


def watched(timer: Timer) -> tuple[Watchdog, list[str]]:
    reasons: list[str] = []
    return Watchdog(timer, reasons.append, min_s=MIN_S, check_s=0.05), reasons


def wait(reasons: list[str]) -> None:
    until = time.monotonic() + 10
    while not reasons and time.monotonic() < until:
        time.sleep(0.05)


def test_a_worker_that_does_nothing_is_ended():
    dog, reasons = watched(Timer())
    for _ in range(3):
        dog.step()
    wait(reasons)
    assert reasons
    assert "no step for" in reasons[0]


def test_a_worker_that_computes_is_not():
    dog, reasons = watched(Timer())
    dog.step()
    until = time.monotonic() + 3 * MIN_S
    while time.monotonic() < until:
        sum(range(10_000))
    assert not reasons


@pytest.mark.parametrize("part", ["peers", "s_val"])
def test_a_worker_that_waits_for_others_is_not(part):
    timer = Timer()
    dog, reasons = watched(timer)
    dog.step()
    with timer.time(part):
        time.sleep(3 * MIN_S)
        assert not reasons


def test_before_the_first_step_and_after_the_last_none_is_expected():
    dog, reasons = watched(Timer())
    time.sleep(3 * MIN_S)
    assert not reasons
    dog.step()
    dog.rest()
    time.sleep(3 * MIN_S)
    assert not reasons


def test_twenty_times_the_longest_step_are_waited_for():
    dog, reasons = watched(Timer())
    dog.step()
    time.sleep(0.1)
    dog.step()
    time.sleep(3 * MIN_S)
    assert not reasons, "two seconds are usual here"
    wait(reasons)
    assert reasons

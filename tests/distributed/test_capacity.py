"""On-demand nodes are requested where spot is refused, and only there."""

import time

import pytest

pytest.importorskip("ray")
from infaug.distributed import capacity
from infaug.distributed.capacity import Fallback, places_for

WORKER = {"CPU": 1.0, "GPU": 1.0}


def node(is_alive=True, **resources):
    return {"Alive": is_alive, "Resources": resources}


@pytest.fixture
def cluster(monkeypatch):
    """Its nodes, and what was requested of the autoscaler."""
    nodes, requests = [node(CPU=8.0, GPU=1.0)], []
    monkeypatch.setattr(capacity, "WATCH_S", 0.02)
    monkeypatch.setattr(capacity, "_refused_now", set)
    monkeypatch.setattr(capacity.ray, "nodes", lambda: nodes)
    monkeypatch.setattr(
        capacity, "request_resources", lambda bundles: requests.append(bundles)
    )
    return nodes, requests


def test_on_demand_is_requested_for_what_is_missing_and_given_back(cluster):
    _, requests = cluster
    with Fallback(WORKER, 3, pending_s=0.1):
        until = time.monotonic() + 5
        while len(requests) < 2 and time.monotonic() < until:
            time.sleep(0.02)
    steady = {**WORKER, "on_demand": 0.001}
    assert requests == [[WORKER] * 3, [WORKER, steady, steady], []]


def test_a_complete_cluster_requests_no_more(cluster):
    nodes, requests = cluster
    nodes.append(node(CPU=8.0, GPU=2.0))
    with Fallback(WORKER, 3, pending_s=0.05):
        time.sleep(0.4)
    assert requests == [[WORKER] * 3, []]


def test_a_refused_launch_is_not_waited_for_as_long_as_a_pending_one(
    cluster, monkeypatch
):
    _, requests = cluster
    with Fallback(WORKER, 2, refused_s=0.1, pending_s=1e9):
        time.sleep(0.3)
        assert len(requests) == 1
        monkeypatch.setattr(capacity, "_refused_now", lambda: {"gpu_spot"})
        time.sleep(0.5)
    assert requests[1:] == [[WORKER, {**WORKER, "on_demand": 0.001}], []]


def test_nodes_that_are_gone_hold_no_worker():
    nodes = [node(CPU=4.0, GPU=1.0), node(is_alive=False, CPU=4.0, GPU=8.0)]
    assert places_for(WORKER, nodes) == 1
    assert places_for({"CPU": 2.0}, nodes) == 2

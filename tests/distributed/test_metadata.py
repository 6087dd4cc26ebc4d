"""Each cloud's notice is understood, and a node that cannot be seen is no notice."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("ray")
from infaug.distributed import notice
from infaug.distributed.notice import CLOUDS, find_cloud, watch_node

from .cloud_metadata import metadata_service

TOKEN = ("PUT", "/latest/api/token")
DATA = "/latest/meta-data"
NAME = ("GET", "/metadata/instance/compute/name")
EVENTS = ("GET", "/metadata/scheduledevents")
PREEMPTED = ("GET", "/computeMetadata/v1/instance/preempted")
QUIET = {
    "aws": {TOKEN: "t"},
    "gcp": {PREEMPTED: "FALSE"},
    "azure": {EVENTS: '{"Events": []}', NAME: "gpu-1"},
}


def in_s(seconds: float, how: str) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime(how)


def stop(seconds: float) -> str:
    at = in_s(seconds, "%Y-%m-%dT%H:%M:%SZ")
    return json.dumps({"action": "terminate", "time": at})


def preemption(seconds: float) -> str:
    at = in_s(seconds, "%a, %d %b %Y %H:%M:%S GMT")
    event = {"EventType": "Preempt", "Resources": ["gpu-1"], "NotBefore": at}
    return json.dumps({"Events": [event]})


# Cloud, the page that announces, what it then says, seconds left.
GOING = [
    ("aws", ("GET", f"{DATA}/spot/instance-action"), stop, 9000),
    ("aws", ("GET", f"{DATA}/events/recommendations/rebalance"), lambda _: "{}", 120),
    ("gcp", PREEMPTED, lambda _: "TRUE", 30),
    ("azure", EVENTS, preemption, 9000),
]


@pytest.mark.parametrize(("cloud", "page", "text", "left_s"), GOING)
def test_notice_of_each_cloud_reaches_the_node_once(
    monkeypatch, cloud, page, text, left_s
):
    monkeypatch.setattr(notice, "POLL_S", 0.05)
    answers, found, arrived = dict(QUIET[cloud]), [], threading.Event()
    with metadata_service(answers) as url:
        assert find_cloud(url) == cloud
        assert CLOUDS[cloud](url) is None
        watch_node(lambda given: (found.append(given), arrived.set()), url)
        assert not arrived.wait(0.3), "nothing was announced yet"
        answers[page] = text(left_s)
        assert arrived.wait(5)
    assert found[0].left_s == pytest.approx(left_s, rel=0.1)


def test_an_event_of_another_machine_of_the_scale_set_is_not_ours():
    answers = QUIET["azure"] | {EVENTS: preemption(60), NAME: "gpu-2"}
    with metadata_service(answers) as url:
        assert CLOUDS["azure"](url) is None


def test_outside_a_cloud_nothing_is_watched():
    with metadata_service({}) as url:
        assert find_cloud(url) is None
    assert find_cloud(url) is None, "the service is gone"

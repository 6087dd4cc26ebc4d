"""Each cloud's notice is understood, and a node that cannot be seen is no notice."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("ray")
from infaug.distributed import notice
from infaug.distributed.notice import CLOUDS, find_cloud, watch_node

from .cloud_metadata import metadata_service

SOON = datetime.now(UTC) + timedelta(seconds=9000)
TOKEN = ("PUT", "/latest/api/token")
DATA = "/latest/meta-data"
NAME = ("GET", "/metadata/instance/compute/name")
EVENTS = ("GET", "/metadata/scheduledevents")
PREEMPTED = ("GET", "/computeMetadata/v1/instance/preempted")
EVENT = {
    "EventType": "Preempt",
    "Resources": ["gpu-1"],
    "NotBefore": SOON.strftime("%a, %d %b %Y %H:%M:%S GMT"),
}
QUIET = {
    "aws": {TOKEN: "t"},
    "gcp": {PREEMPTED: "FALSE"},
    "azure": {EVENTS: '{"Events": []}', NAME: "gpu-1"},
}
STOP = json.dumps({"action": "terminate", "time": SOON.strftime("%Y-%m-%dT%H:%M:%SZ")})
GOING = [
    ("aws", {("GET", f"{DATA}/spot/instance-action"): STOP}, 9000),
    ("aws", {("GET", f"{DATA}/events/recommendations/rebalance"): "{}"}, 120),
    ("gcp", {PREEMPTED: "TRUE"}, 30),
    ("azure", {EVENTS: json.dumps({"Events": [EVENT]})}, 9000),
]


@pytest.mark.parametrize(("cloud", "change", "left_s"), GOING)
def test_notice_of_each_cloud_reaches_the_node_once(monkeypatch, cloud, change, left_s):
    monkeypatch.setattr(notice, "POLL_S", 0.05)
    answers, found, arrived = dict(QUIET[cloud]), [], threading.Event()
    with metadata_service(answers) as url:
        assert find_cloud(url) == cloud
        assert CLOUDS[cloud](url) is None
        watch_node(lambda given: (found.append(given), arrived.set()), url)
        assert not arrived.wait(0.3), "nothing was announced yet"
        answers.update(change)
        assert arrived.wait(5)
    assert found[0].left_s == pytest.approx(left_s, rel=0.1)


def test_an_event_of_another_machine_of_the_scale_set_is_not_ours():
    answers = QUIET["azure"] | GOING[-1][1] | {NAME: "gpu-2"}
    with metadata_service(answers) as url:
        assert CLOUDS["azure"](url) is None


def test_outside_a_cloud_nothing_is_watched():
    with metadata_service({}) as url:
        assert find_cloud(url) is None
    assert find_cloud(url) is None, "the service is gone"

"""Notice of machines that are taken away: from the cloud to Ray to the training.

One worker of each node asks the cloud's metadata service every few seconds and drains
its node when there is notice. The first worker sees, through Ray, which nodes of the
training drain, whoever drained them; all workers then take a checkpoint.

    python -m infaug.distributed.notice      # drains this node: a preStop of Kubernetes
"""

import json
import math
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import ray
import torch.distributed as dist
from ray.util import get_node_ip_address

from infaug.distributed.ray_private import drain_node, draining_nodes
from infaug.distributed.restarts import Watchdog
from infaug.world import World

POLL_S = 2.0
TIMEOUT_S = 1.0  # the service is on the machine itself
AGREE_S = 2.0  # between two times that workers ask the first one
AGAIN_S = 20.0  # between two checkpoints of a training whose node drains
SPOT_S = 30.0  # that is left where the cloud does not say: Google's, the shortest
SERVICE = os.environ.get("INFAUG_METADATA_URL", "http://169.254.169.254")
# Metadata never goes through a proxy.
_OPEN = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


@dataclass(frozen=True)
class Notice:
    """A machine goes in `left_s` seconds."""

    why: str
    left_s: float


def aws_notice(service: str) -> Notice | None:
    """Of EC2: an interruption, or the advice to move before one."""
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "300"}
    token = _known(_get(f"{service}/latest/api/token", ttl, method="PUT"))
    headers = {"X-aws-ec2-metadata-token": token}
    data = f"{service}/latest/meta-data"
    if action := _get(f"{data}/spot/instance-action", headers):
        until = datetime.fromisoformat(json.loads(action)["time"])
        return Notice("spot interruption", _seconds_until(until))
    if _get(f"{data}/events/recommendations/rebalance", headers):
        return Notice("rebalance recommendation", 120.0)
    return None


def gcp_notice(service: str) -> Notice | None:
    """Of Compute Engine, which gives 30 seconds."""
    url = f"{service}/computeMetadata/v1/instance/preempted"
    is_preempted = _known(_get(url, {"Metadata-Flavor": "Google"})) == "TRUE"
    return Notice("preempted", SPOT_S) if is_preempted else None


def azure_notice(service: str) -> Notice | None:
    """Of Azure: events are those of a whole scale set, so the name must be ours."""
    headers = {"Metadata": "true"}
    url = f"{service}/metadata/scheduledevents?api-version=2020-07-01"
    events = json.loads(_known(_get(url, headers)) or "{}").get("Events", [])
    url = f"{service}/metadata/instance/compute/name?api-version=2021-02-01&format=text"
    name = _get(url, headers) if events else None
    for event in events:
        if event["EventType"] == "Preempt" and name in event["Resources"]:
            when = event.get("NotBefore")
            until = parsedate_to_datetime(when) if when else None
            return Notice("preempted", _seconds_until(until) if until else SPOT_S)
    return None


CLOUDS = {"aws": aws_notice, "gcp": gcp_notice, "azure": azure_notice}


def find_cloud(service: str = SERVICE) -> str | None:
    """The cloud this machine is in; None where no metadata service answers."""
    for name, notice_of in CLOUDS.items():
        with suppress(OSError, ValueError):
            notice_of(service)
            return name
    return None


def watch_node(act: Callable[[Notice], None], service: str = SERVICE) -> None:
    """Ask until there is notice, then act on it once; in a thread of its own."""

    def watch() -> None:
        if (cloud := find_cloud(service)) is None:
            return
        while True:
            # A service that stumbles is tried again.
            with suppress(OSError, ValueError):
                if notice := CLOUDS[cloud](service):
                    act(notice)
                    return
            time.sleep(POLL_S)

    threading.Thread(target=watch, name="notice", daemon=True).start()


def drain_this_node(notice: Notice) -> None:
    """Hand notice to Ray, for the node of this process."""
    context = ray.get_runtime_context()
    drain_node(context.gcs_address, context.get_node_id(), notice.why, notice.left_s)


class Leaving:
    """Whether a checkpoint is due because a node of this training drains.

    Called by all workers after every step. Asking each other costs milliseconds, so
    they do it every `AGREE_S` or so; the first worker says after how many calls.
    """

    def __init__(self, world: World):
        self.world, self.watchdog = world, Watchdog(world.timer)
        nodes: list[str] = [ray.get_runtime_context().get_node_id()] * world.size
        if world.size > 1:
            dist.all_gather_object(nodes, nodes[0])
        self.nodes = set(nodes)
        self.calls_left, self.interval = 1, 1
        self.asked_at = time.monotonic()
        self.saved_at = -math.inf

    def __call__(self) -> bool:
        """Alike on all workers."""
        self.watchdog.step()
        self.calls_left -= 1
        if self.calls_left:
            return False
        is_due, self.interval = self.world.first(self._agree)
        self.calls_left = self.interval
        return is_due

    def _agree(self) -> tuple[bool, int]:
        """Whether to save, and the calls until workers agree again."""
        now = time.monotonic()
        seconds = max((now - self.asked_at) / self.interval, 1e-6)
        self.asked_at = now
        # Doubled at most: first steps, which compile and load, say little.
        interval = min(max(int(AGREE_S / seconds), 1), 2 * self.interval)
        is_draining = not self.nodes.isdisjoint(draining_nodes())
        is_due = is_draining and now - self.saved_at >= AGAIN_S
        if is_due:
            self.saved_at = now
        return is_due, interval


def _get(url: str, headers: Mapping[str, str], method: str = "GET") -> str | None:
    """What the service answers; None if it knows no such thing."""
    request = urllib.request.Request(url, headers=dict(headers), method=method)
    try:
        with _OPEN(request, timeout=TIMEOUT_S) as reply:
            return reply.read().decode().strip()
    except urllib.error.HTTPError as error:
        if error.code in (400, 403, 404, 405):
            return None
        raise


def _known(answer: str | None) -> str:
    """What a cloud's service answers in any case; another's does not."""
    if answer is None:
        raise ValueError("this is another cloud's service")
    return answer


def _seconds_until(moment: datetime) -> float:
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)


def main() -> None:
    """Drain the node of this machine and leave its workers time for a checkpoint."""
    ray.init(address="auto", log_to_driver=False)
    own = get_node_ip_address()
    gcs = ray.get_runtime_context().gcs_address
    for node in ray.nodes():
        if node["Alive"] and node["NodeManagerAddress"] == own:
            drain_node(gcs, node["NodeID"], "terminated", SPOT_S)
    time.sleep(SPOT_S / 2)


if __name__ == "__main__":
    main()

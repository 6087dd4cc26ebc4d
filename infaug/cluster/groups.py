"""What a cluster consists of: groups of equal nodes, the head first.

Ray reduces every kind of cluster file to `available_node_types`; groups are read from
there. Machines of one's own are the exception: they are what their `ray start` says.
"""

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infaug.count_range import CountRange

Resources = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Equal nodes, as many as the autoscaler may add."""

    name: str
    min: int
    max: int
    resources: Resources
    """Of each node."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster at its largest.

    `workers` are the groups beside the head; `max_workers` bounds their nodes together.
    """

    name: str
    provider: str
    head: Group
    workers: tuple[Group, ...]
    max_workers: int

    @property
    def groups(self) -> tuple[Group, ...]:
        """All groups, the head first."""
        return (self.head, *self.workers)


def cluster_of(prepared: Mapping[str, Any]) -> Cluster:
    """The cluster of a file as Ray has prepared it: checked, with its defaults.

    Raises:
        ValueError: if a `ray start` of a local cluster cannot be read.
    """
    kinds = prepared["available_node_types"]
    is_local = prepared["provider"]["type"] == "local"
    head, workers = None, []
    for name, kind in kinds.items():
        own = {key: float(amount) for key, amount in kind["resources"].items()}
        if name == prepared["head_node_type"]:
            taken = _started(prepared, "head_start_ray_commands") if is_local else own
            head = Group(name="head", min=1, max=1, resources=taken)
        if is_local:
            own = _started(prepared, "worker_start_ray_commands")
        low, high = kind.get("min_workers", 0), kind.get("max_workers", 0)
        if high:
            label = "machine" if is_local else name
            group = Group(name=label, min=low, max=high, resources=own)
            workers.append(group)
    assert head is not None, "Ray has checked that the head's type exists"
    return Cluster(
        name=prepared["cluster_name"],
        provider=prepared["provider"]["type"],
        head=head,
        workers=tuple(workers),
        max_workers=prepared["max_workers"],
    )


def spell(resources: Mapping[str, float]) -> str:
    """Resources as on the command line, CPU and GPU first.

    >>> spell({"solver": 1, "GPU": 0.5, "CPU": 4.0})
    'CPU=4, GPU=0.5, solver=1'
    """
    order = {"CPU": 0, "GPU": 1}
    names = sorted(resources, key=lambda name: (order.get(name, 2), name))
    shown = [f"{name}={resources[name]:g}" for name in names if name != "memory"]
    return ", ".join(shown) or "nothing"


def _started(prepared: Mapping[str, Any], field: str) -> Resources:
    """What the `ray start` among some commands declares."""
    flags = dict(_flags(" ".join(prepared[field])))
    try:
        own = json.loads(flags.get("resources", "{}"))
        found = {name: float(amount) for name, amount in own.items()}
        for flag, name in (("num-cpus", "CPU"), ("num-gpus", "GPU")):
            if flag in flags:
                found[name] = float(flags[flag])
    except (ValueError, AttributeError) as error:
        raise ValueError(
            f"{field}: --resources must be JSON and --num-cpus and --num-gpus numbers "
            f"({error})"
        ) from error
    return found


def _flags(command: str) -> Iterator[tuple[str, str]]:
    """(flag, value) for `--flag=value` and `--flag value`."""
    words = shlex.split(command)
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word.startswith("--"):
            flag, equals, value = word[2:].partition("=")
            yield flag, value if equals else following


def table(cluster: Cluster) -> str:
    """Groups, how many nodes of each, what each has, and what that comes to."""
    low = sum(group.min for group in cluster.workers)
    title = f"{cluster.name} on {cluster.provider}: the head and "
    rows = [("group", "nodes", "each", "together"), *map(_row, cluster.groups)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n  ".join([f"{title}{low}..{cluster.max_workers} nodes", *lines])


def _row(group: Group) -> tuple[str, str, str, str]:
    nodes = str(CountRange(min=group.min, max=group.max))
    together = {name: group.max * amount for name, amount in group.resources.items()}
    return group.name, nodes, spell(group.resources), spell(together)

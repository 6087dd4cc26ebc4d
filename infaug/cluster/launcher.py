"""Mistakes in a file for `ray up` that Ray's own check does not see.

Ray fills a missing `cluster_name` with its default, does not look into `node_config`,
and accepts groups that can never start.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from infaug.cluster.mistakes import unknown_keys
from infaug.cluster.node_config import KNOWN, MACHINE

PROVIDERS = ("aws", "gcp", "local")
# Google's labels and names allow no more, and names of nodes are built from it.
NAME = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?")


def launcher_mistakes(file: Mapping[str, Any]) -> Iterator[str]:
    """Each mistake of a file as it was written, as `field: what, remedy`."""
    name, provider = file.get("cluster_name"), file.get("provider")
    if name is None:
        yield "cluster_name: missing, and Ray would call it `default`: give it one"
    elif not NAME.fullmatch(str(name)):
        yield (
            f"cluster_name: {name!r} is no name for a cloud, use up to 32 small "
            "letters, digits and hyphens"
        )
    kind = provider.get("type") if isinstance(provider, Mapping) else None
    if kind not in PROVIDERS:
        yield f"provider.type: must be one of {', '.join(PROVIDERS)}, got {kind!r}"
    elif kind == "local":
        yield from _local_mistakes(file)
    else:
        yield from _cloud_mistakes(file, kind)


def _local_mistakes(file: Mapping[str, Any]) -> Iterator[str]:
    addresses = file["provider"].get("worker_ips")
    if not file["provider"].get("head_ip") or not isinstance(addresses, list):
        yield "provider: needs head_ip and worker_ips, the machines' addresses"
        return
    for field in ("min_workers", "max_workers"):
        if file.get(field, 0) > len(addresses):
            yield f"{field}: {file[field]}, worker_ips has {len(addresses)}: lower it"
    if file.get("min_workers", 0) > file.get("max_workers", len(addresses)):
        yield "min_workers: more than max_workers, lower it"
    for field in ("head_start_ray_commands", "worker_start_ray_commands"):
        if "--num-cpus" not in " ".join(file.get(field) or []):
            yield f"{field}: say what a machine has: ray start ... --num-cpus=N"


def _cloud_mistakes(file: Mapping[str, Any], provider: str) -> Iterator[str]:
    kinds = file.get("available_node_types")
    if not isinstance(kinds, Mapping) or not kinds:
        yield "available_node_types: missing, name each kind of node"
        return
    head = file.get("head_node_type")
    if head not in kinds:
        yield f"head_node_type: {head!r} must be one of {', '.join(kinds)}"
    for name, kind in kinds.items():
        where = f"available_node_types.{name}"
        if not isinstance(kind, Mapping) or not isinstance(
            kind.get("node_config"), Mapping
        ):
            yield f"{where}.node_config: missing, say which machine it is"
            continue
        yield from _node_mistakes(where, kind, provider)
        is_own_key = provider == "aws" and "ssh_private_key" in (file.get("auth") or {})
        if is_own_key and not {"KeyName", "UserData"} & set(kind["node_config"]):
            yield f"{where}.node_config.KeyName: missing, name that of ssh_private_key"
    yield from _count_mistakes(file, kinds, head)


def _node_mistakes(where: str, kind: Mapping[str, Any], provider: str) -> Iterator[str]:
    yield from unknown_keys(
        f"{where}.node_config", kind["node_config"], KNOWN[provider]
    )
    if not set(MACHINE[provider]) & set(kind["node_config"]):
        yield f"{where}.node_config: needs {' or '.join(MACHINE[provider])}"
    if "CPU" not in (kind.get("resources") or {}):
        yield f"{where}.resources: must say CPU, and GPU where there are any"
    least, most = kind.get("min_workers", 0), kind.get("max_workers")
    if most is not None and least > most:
        yield f"{where}.min_workers: {least} is more than max_workers, {most}: lower it"


def _count_mistakes(
    file: Mapping[str, Any], kinds: Mapping[str, Any], head: object
) -> Iterator[str]:
    """The cluster's `max_workers` and those of its groups must agree."""
    total = file.get("max_workers")
    if not isinstance(total, int):
        yield "max_workers: missing, say how many nodes there may be beside the head"
        return
    summed = 0
    for name, kind in kinds.items():
        most = kind.get("max_workers")
        if most is None and name != head:
            yield f"available_node_types.{name}.max_workers: missing, set it"
        summed += most or 0
        if (most or 0) > total:
            yield (
                f"available_node_types.{name}.max_workers: {most} is more than "
                f"max_workers, {total}: never reached, lower it or raise the other"
            )
    if summed < total:
        yield f"max_workers: {total}, but the groups' add up to {summed}: lower it"
    least = sum(kind.get("min_workers", 0) for kind in kinds.values())
    if least > total:
        yield f"max_workers: {total}, but the groups' min_workers add up to {least}"

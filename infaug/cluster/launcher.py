"""Mistakes in a file for `ray up` that Ray's own check does not see.

Ray fills a missing `cluster_name` with its default, does not look into `node_config`,
and accepts groups that can never start. Whoever reaches the dashboard, or Ray's own
ports, runs code on the cluster: so nothing may be open to the world, not even to ssh.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

PROVIDERS = ("aws", "gcp", "local")
# Google's labels and names allow no more, and names of nodes are built from it.
NAME = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?")
DASHBOARD = re.compile(r"--dashboard-host[= ](\S+)")
MACHINE = {
    "aws": ("InstanceType", "LaunchTemplate"),
    "gcp": ("machineType", "sourceInstanceTemplate"),
}


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
    if not set(MACHINE[provider]) & set(kind["node_config"]):
        yield f"{where}.node_config: needs {' or '.join(MACHINE[provider])}"
    if "CPU" not in (kind.get("resources") or {}):
        yield f"{where}.resources: must say CPU, and GPU where there are any"
    low, high = kind.get("min_workers", 0), kind.get("max_workers")
    if high is not None and low > high:
        yield f"{where}.min_workers: {low} is more than max_workers, {high}: lower it"


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
        high = kind.get("max_workers")
        if high is None and name != head:
            yield f"available_node_types.{name}.max_workers: missing, set it"
        summed += high or 0
        if (high or 0) > total:
            yield (
                f"available_node_types.{name}.max_workers: {high} is more than "
                f"max_workers, {total}: never reached, lower it or raise the other"
            )
    if summed < total:
        yield f"max_workers: {total}, but the groups' add up to {summed}: lower it"
    low = sum(kind.get("min_workers", 0) for kind in kinds.values())
    if low > total:
        yield f"max_workers: {total}, but the groups' min_workers add up to {low}"


def prepared_mistakes(prepared: Mapping[str, Any]) -> Iterator[str]:
    """Each mistake of a file as Ray has prepared it: open ports, images, disks."""
    for command in prepared["head_start_ray_commands"]:
        for host in DASHBOARD.findall(command):
            if host not in ("localhost", "127.0.0.1"):
                yield (
                    f"head_start_ray_commands: --dashboard-host={host} shows the "
                    "dashboard to others, write the commands with localhost (Ray's own "
                    "have 0.0.0.0) and use `ray dashboard FILE`"
                )
    if prepared["provider"]["type"] == "aws":
        yield from _aws_exposure(prepared)
        yield from _aws_mistakes(prepared)
    if prepared["provider"]["type"] == "gcp":
        yield from _gcp_exposure(prepared)


def _aws_exposure(prepared: Mapping[str, Any]) -> Iterator[str]:
    group = prepared["provider"].get("security_group") or {}
    for rule in group.get("IpPermissions") or []:
        ranges = [span.get("CidrIp") for span in rule.get("IpRanges") or []]
        ranges += [span.get("CidrIpv6") for span in rule.get("Ipv6Ranges") or []]
        if any(str(span).endswith("/0") for span in ranges if span):
            yield (
                "provider.security_group.IpPermissions: ports "
                f"{rule.get('FromPort')}-{rule.get('ToPort')} are open to the world, "
                "name your own addresses"
            )
    for name, kind in prepared["available_node_types"].items():
        given = {"SecurityGroupIds", "NetworkInterfaces", "LaunchTemplate"}
        if not given & set(kind["node_config"]):
            yield (
                f"available_node_types.{name}.node_config.SecurityGroupIds: missing, "
                "and Ray would make a group with port 22 open to 0.0.0.0/0: name yours"
            )


def _gcp_exposure(prepared: Mapping[str, Any]) -> Iterator[str]:
    if not prepared["provider"].get("use_internal_ips"):
        yield "provider.use_internal_ips: must be true, nodes need no public address"
    for name, kind in prepared["available_node_types"].items():
        where = f"available_node_types.{name}.node_config.networkInterfaces"
        cards = kind["node_config"].get("networkInterfaces")
        if not cards:
            yield f"{where}: missing, Ray would give a public address: name a subnet"
        elif any(card.get("accessConfigs") for card in cards):
            yield f"{where}: accessConfigs gives a public address, remove it"


def _aws_mistakes(file: Mapping[str, Any]) -> Iterator[str]:
    """Images that cannot be pulled, slow disks, one pool of spot machines."""
    kinds = file["available_node_types"]
    nodes = {name: kind["node_config"] for name, kind in kinds.items()}
    image = (file.get("docker") or {}).get("image") or ""
    if ".dkr.ecr." in image:
        if "docker login" not in " ".join(file.get("initialization_commands") or []):
            yield (
                "initialization_commands: docker.image is in ECR, log in to it: aws "
                "ecr get-login-password | docker login ..."
            )
        for name, node in nodes.items():
            if not {"IamInstanceProfile", "LaunchTemplate"} & set(node):
                yield (
                    f"available_node_types.{name}.node_config.IamInstanceProfile: "
                    "missing, and without one a node may not pull from ECR"
                )
    for name, node in nodes.items():
        disks = [each.get("Ebs") or {} for each in node.get("BlockDeviceMappings", ())]
        if any(d.get("VolumeType") == "gp3" and "Throughput" not in d for d in disks):
            yield (
                f"available_node_types.{name}.node_config.BlockDeviceMappings: gp3 "
                "has 125 MB/s unless Throughput says more, too few for spilling"
            )
    spot = [node for node in nodes.values() if is_spot_machine("aws", node)]
    zones = str(file["provider"].get("availability_zone", "")).split(",")
    if spot and len(zones) * len({node.get("InstanceType") for node in spot}) < 3:
        yield (
            "provider.availability_zone: spot from so few zones and types of machines "
            "is often refused, name more zones (A,B,C) or add a group of another type"
        )


def is_spot_machine(provider: str, node_config: Mapping[str, Any]) -> bool:
    """Whether a cloud may take a machine of this kind away."""
    if provider == "aws":
        options = node_config.get("InstanceMarketOptions") or {}
        return options.get("MarketType") == "spot"
    scheduling = node_config.get("scheduling") or {}
    parts = scheduling if isinstance(scheduling, list) else [scheduling]
    return any(
        part.get("provisioningModel") == "SPOT" or part.get("preemptible")
        for part in parts
    )

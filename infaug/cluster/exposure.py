"""What opens a port of the cluster to the world.

Whoever reaches the dashboard, or Ray's own ports, runs code on the cluster. So no rule
may let everybody in, not even to ssh, and the dashboard listens on localhost.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infaug.cluster.mistakes import opens_to_world

DASHBOARD = re.compile(r"--dashboard-host[= ](\S+)")
OPEN_SERVICES = ("LoadBalancer", "NodePort")


def launcher_exposure(prepared: Mapping[str, Any]) -> Iterator[str]:
    """For a file as Ray has prepared it, with the commands Ray would fill in."""
    for command in prepared["head_start_ray_commands"]:
        for host in DASHBOARD.findall(command):
            if host not in ("localhost", "127.0.0.1"):
                yield (
                    f"head_start_ray_commands: --dashboard-host={host} shows the "
                    "dashboard to others, write the commands with localhost (Ray's own "
                    "have 0.0.0.0) and use `ray dashboard FILE`"
                )
    provider = prepared["provider"]
    if provider["type"] == "aws":
        yield from _aws_exposure(prepared)
    if provider["type"] == "gcp":
        yield from _gcp_exposure(prepared)


def _aws_exposure(prepared: Mapping[str, Any]) -> Iterator[str]:
    group = prepared["provider"].get("security_group") or {}
    for rule in group.get("IpPermissions") or []:
        ranges = [span.get("CidrIp") for span in rule.get("IpRanges") or []]
        ranges += [span.get("CidrIpv6") for span in rule.get("Ipv6Ranges") or []]
        if any(opens_to_world(span) for span in ranges if span):
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


def pod_exposure(where: str, spec: Mapping[str, Any]) -> Iterator[str]:
    """For one pod's spec."""
    if spec.get("hostNetwork"):
        yield f"{where}.hostNetwork: opens the node's own ports, remove it"
    for number, container in enumerate(spec.get("containers") or []):
        for port in container.get("ports") or []:
            if "hostPort" in port:
                yield (
                    f"{where}.containers[{number}].ports.hostPort: {port['hostPort']} "
                    "opens a port of the node, remove it"
                )


def head_exposure(where: str, head: Mapping[str, Any]) -> Iterator[str]:
    """For the service in front of the head pod."""
    service = (head.get("headService") or {}).get("spec") or {}
    for field, kind in (
        ("serviceType", head.get("serviceType")),
        ("headService.spec.type", service.get("type")),
    ):
        if kind in OPEN_SERVICES:
            yield f"{where}.{field}: {kind} opens the head to the world, use ClusterIP"
    if head.get("enableIngress"):
        yield f"{where}.enableIngress: opens the head to the world, remove it"


def document_exposure(documents: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """For what else is in a Kubernetes file."""
    for document in documents:
        kind, spec = document.get("kind"), document.get("spec") or {}
        if kind in ("Ingress", "Gateway", "HTTPRoute", "Route"):
            yield f"{kind}: opens a service to the world, remove it"
        if kind == "Service" and spec.get("type") in OPEN_SERVICES:
            yield f"Service.spec.type: {spec['type']} opens a port, use ClusterIP"

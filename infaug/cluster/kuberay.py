"""Mistakes in a RayJob or RayCluster for KubeRay.

Fields that do not exist are refused by `kubectl apply`, which knows KubeRay's schema;
what is checked here is what the schema allows and what then does not work.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

KINDS = ("RayJob", "RayCluster")
NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
MAX_NAME = 47  # pods' names are built from it
OPEN_SERVICES = ("LoadBalancer", "NodePort")
SPOT_LABELS = {
    "cloud.google.com/gke-spot": "true",
    "eks.amazonaws.com/capacityType": "SPOT",
    "karpenter.sh/capacity-type": "spot",
}
PENDING = "RAY_AUTOSCALER_RECONCILE_ALLOCATE_STATUS_TIMEOUT_S"
# Sizes of machines: Kubernetes takes a part of each, so such a pod stays pending.
WHOLE_MACHINES = {"8", "16", "32", "48", "64", "96", "128", "192"}


def cluster_spec(document: Mapping[str, Any]) -> tuple[str, Any]:
    """Where the cluster is described, and its description."""
    spec = document.get("spec") or {}
    if document["kind"] == "RayCluster":
        return "spec", spec
    return "spec.rayClusterSpec", spec.get("rayClusterSpec")


def kuberay_mistakes(document: Mapping[str, Any]) -> Iterator[str]:
    """Each mistake, as `field: what, remedy`."""
    if document.get("apiVersion") != "ray.io/v1":
        yield f"apiVersion: must be ray.io/v1, got {document.get('apiVersion')!r}"
    name = (document.get("metadata") or {}).get("name")
    if not name or len(name) > MAX_NAME or not NAME.fullmatch(name):
        yield (
            f"metadata.name: {name!r} is no name, use up to {MAX_NAME} small letters, "
            "digits and hyphens"
        )
    spec = document.get("spec") or {}
    runs = spec.get("entrypoint") or spec.get("submissionMode") == "InteractiveMode"
    if document["kind"] == "RayJob" and not runs:
        yield "spec.entrypoint: missing, the command to run"
    where, cluster = cluster_spec(document)
    if not isinstance(cluster, Mapping):
        yield f"{where}: missing, describe the cluster"
        return
    yield from _head_mistakes(f"{where}.headGroupSpec", cluster.get("headGroupSpec"))
    yield from _groups_mistakes(where, cluster)


def _head_mistakes(where: str, head: Any) -> Iterator[str]:
    if not isinstance(head, Mapping):
        yield f"{where}: missing, describe the head"
        return
    yield from _pod_mistakes(where, head)
    yield from _head_exposure(where, head)


def _groups_mistakes(where: str, cluster: Mapping[str, Any]) -> Iterator[str]:
    groups = cluster.get("workerGroupSpecs") or []
    names = Counter(group.get("groupName") for group in groups)
    for name, count in names.items():
        if not name or not NAME.fullmatch(name):
            yield f"{where}.workerGroupSpecs.groupName: {name!r} is no name"
        elif count > 1:
            yield f"{where}.workerGroupSpecs.{name}: {count} groups have this name"
    for group in groups:
        label = f"{where}.workerGroupSpecs.{group.get('groupName')}"
        yield from _replica_mistakes(label, group)
        yield from _pod_mistakes(label, group)
    grows = any(g.get("minReplicas") != g.get("maxReplicas") for g in groups)
    if grows and cluster.get("enableInTreeAutoscaling") is not True:
        yield f"{where}.enableInTreeAutoscaling: must be true, or no group ever grows"


def _replica_mistakes(where: str, group: Mapping[str, Any]) -> Iterator[str]:
    counts = {"numOfHosts": 1, "minReplicas": None, "maxReplicas": None, **group}
    for name, least in (("minReplicas", 0), ("maxReplicas", 0), ("numOfHosts", 1)):
        if not isinstance(counts[name], int) or counts[name] < least:
            yield f"{where}.{name}: must be a whole number, got {counts[name]!r}"
            return
    low, high = group["minReplicas"], group["maxReplicas"]
    if not low <= group.get("replicas", low) <= high:
        yield (
            f"{where}.replicas: minReplicas <= replicas <= maxReplicas must hold, got "
            f"{low}, {group.get('replicas', low)}, {high}"
        )


def _pod_mistakes(where: str, group: Mapping[str, Any]) -> Iterator[str]:
    spec = ((group.get("template") or {}).get("spec")) or {}
    where = f"{where}.template.spec"
    containers = spec.get("containers") or []
    if not containers:
        yield f"{where}.containers: missing, Ray's is the first"
        return
    if not containers[0].get("image"):
        yield f"{where}.containers[0].image: missing, name the image"
    resources = containers[0].get("resources") or {}
    if not any((resources.get(k) or {}).get("cpu") for k in ("requests", "limits")):
        yield f"{where}.containers[0].resources: must limit cpu, Ray reads it there"
    yield from _pod_exposure(where, spec)


def _pod_exposure(where: str, spec: Mapping[str, Any]) -> Iterator[str]:
    if spec.get("hostNetwork"):
        yield f"{where}.hostNetwork: opens the node's own ports, remove it"
    for number, container in enumerate(spec.get("containers") or []):
        for port in container.get("ports") or []:
            if "hostPort" in port:
                yield (
                    f"{where}.containers[{number}].ports.hostPort: {port['hostPort']} "
                    "opens a port of the node, remove it"
                )


def _head_exposure(where: str, head: Mapping[str, Any]) -> Iterator[str]:
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


def is_spot_pod(spec: Mapping[str, Any]) -> bool:
    """Whether a pod asks for a node that may be taken away."""
    selected = spec.get("nodeSelector") or {}
    return any(selected.get(key) == value for key, value in SPOT_LABELS.items())


def spot_pod_mistakes(where: str, cluster: Mapping[str, Any]) -> Iterator[str]:
    """What keeps pods pending, or puts a fallback onto a spot machine."""
    groups = cluster.get("workerGroupSpecs") or []
    for group in groups:
        label = f"{where}.workerGroupSpecs.{group['groupName']}"
        cpu = _limits(group["template"]["spec"]).get("cpu")
        if str(cpu) in WHOLE_MACHINES:
            yield (
                f"{label}: cpu {cpu} is a whole machine, of which Kubernetes takes a "
                "part: ask for one less, or the pod stays pending"
            )
    spot = [group for group in groups if is_spot_pod(group["template"]["spec"])]
    if not spot:
        return
    env = (cluster.get("autoscalerOptions") or {}).get("env") or []
    if PENDING not in [each.get("name") for each in env]:
        yield (
            f"{where}.autoscalerOptions.env: set {PENDING} to 300, or a pending spot "
            "pod counts as a node for an hour and no fallback comes"
        )
    for group in groups:
        label = f"{where}.workerGroupSpecs.{group['groupName']}.template.spec"
        spec = group["template"]["spec"]
        has_gpu = "nvidia.com/gpu" in _limits(spec)
        if group in spot:
            if "preStop" not in (spec["containers"][0].get("lifecycle") or {}):
                yield (
                    f"{label}.containers[0].lifecycle.preStop: missing, run python -m "
                    "infaug.distributed.notice, or no checkpoint is taken in time"
                )
        elif has_gpu and not (spec.get("affinity") or {}).get("nodeAffinity"):
            yield (
                f"{label}.affinity.nodeAffinity: missing, keep the fallback off spot "
                "nodes (DoesNotExist), where it would go with them"
            )


def _limits(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """What Ray's container may take."""
    return (spec["containers"][0].get("resources") or {}).get("limits") or {}

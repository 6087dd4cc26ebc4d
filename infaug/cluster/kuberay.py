"""Mistakes in a RayJob or RayCluster for KubeRay.

Kubernetes prunes fields that it does not know, silently, so that a typo is a default.
The lists were read from KubeRay's reference in 2026, and from what Ray 2.60 reads.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from infaug.cluster.exposure import head_exposure, pod_exposure
from infaug.cluster.mistakes import unknown_keys

KINDS = ("RayJob", "RayCluster")
NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
MAX_NAME = 47  # pods' names are built from it

_JOB = """
activeDeadlineSeconds backoffLimit clusterSelector deletionPolicy deletionStrategy
entrypoint entrypointNumCpus entrypointNumGpus entrypointResources jobId managedBy
metadata preRunningDeadlineSeconds rayClusterSpec runtimeEnvYAML schedule
shutdownAfterJobFinishes submissionMode submitterConfig submitterPodTemplate suspend
ttlSecondsAfterFinished
"""
_CLUSTER = """
authOptions autoscalerOptions enableInTreeAutoscaling gcsFaultToleranceOptions
headGroupSpec headServiceAnnotations managedBy networkPolicy rayVersion suspend
upgradeStrategy workerGroupSpecs
"""
_HEAD = """
enableIngress headService labels rayStartParams resources serviceType template
"""
_GROUP = """
groupName idleTimeoutSeconds labels maxReplicas minReplicas numOfHosts priority
rayStartParams replicas resources scaleStrategy suspend template
"""


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
    if document["kind"] == "RayJob":
        spec = document.get("spec") or {}
        yield from unknown_keys("spec", spec, _JOB.split())
        if (
            not spec.get("entrypoint")
            and spec.get("submissionMode") != "InteractiveMode"
        ):
            yield "spec.entrypoint: missing, the command to run"
    where, cluster = cluster_spec(document)
    if not isinstance(cluster, Mapping):
        yield f"{where}: missing, describe the cluster"
        return
    yield from unknown_keys(where, cluster, _CLUSTER.split())
    yield from _head_mistakes(f"{where}.headGroupSpec", cluster.get("headGroupSpec"))
    yield from _groups_mistakes(where, cluster)


def _head_mistakes(where: str, head: Any) -> Iterator[str]:
    if not isinstance(head, Mapping):
        yield f"{where}: missing, describe the head"
        return
    yield from unknown_keys(where, head, _HEAD.split())
    yield from _pod_mistakes(where, head)
    yield from head_exposure(where, head)


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
        yield from unknown_keys(label, group, _GROUP.split())
        yield from _replica_mistakes(label, group)
        yield from _pod_mistakes(label, group)
    grows = any(g.get("minReplicas") != g.get("maxReplicas") for g in groups)
    if grows and cluster.get("enableInTreeAutoscaling") is not True:
        yield f"{where}.enableInTreeAutoscaling: must be true, or no group ever grows"


def _replica_mistakes(where: str, group: Mapping[str, Any]) -> Iterator[str]:
    counts = {
        name: group.get(name) for name in ("minReplicas", "maxReplicas", "numOfHosts")
    }
    counts["numOfHosts"] = group.get("numOfHosts", 1)
    for name, count in counts.items():
        if not isinstance(count, int) or count < (name == "numOfHosts"):
            yield f"{where}.{name}: must be a whole number, got {count!r}"
            return
    least, most = group["minReplicas"], group["maxReplicas"]
    if not least <= group.get("replicas", least) <= most:
        yield (
            f"{where}.replicas: minReplicas <= replicas <= maxReplicas must hold, got "
            f"{least}, {group.get('replicas', least)}, {most}"
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
    asked = containers[0].get("resources") or {}
    if not {**(asked.get("requests") or {}), **(asked.get("limits") or {})}.get("cpu"):
        yield f"{where}.containers[0].resources: must limit cpu, Ray reads it there"
    yield from pod_exposure(where, spec)

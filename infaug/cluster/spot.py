"""What makes spot machines and their images come up, and be replaced where they do not.

There are hours without spot GPUs, so there must be groups to fall back to. Each mistake
here leaves nodes pending for an hour or refused for ever, with nothing said.
"""

from collections.abc import Iterator, Mapping
from typing import Any

SPOT_LABELS = {
    "cloud.google.com/gke-spot": "true",
    "eks.amazonaws.com/capacityType": "SPOT",
    "karpenter.sh/capacity-type": "spot",
}
ON_DEMAND = "on_demand"  # `infaug.distributed.capacity` requests it
PENDING = "RAY_AUTOSCALER_RECONCILE_ALLOCATE_STATUS_TIMEOUT_S"
# Sizes of machines: Kubernetes takes a part of each, so such a pod stays pending.
WHOLE_MACHINES = {"8", "16", "32", "48", "64", "96", "128", "192"}


def spot_mistakes(
    where: str, kinds: Mapping[str, Mapping[str, Any]], is_spot: Mapping[str, bool]
) -> Iterator[str]:
    """A mistake for each spot group with GPUs that nothing falls back to.

    The fallback has the same resources and `on_demand`, by which infaug requests it
    when spot is refused. Ray prefers the group that a bundle fills best, so the spot
    group also needs the higher priority.
    """
    resources = {name: dict(kinds[name]["resources"]) for name in is_spot}
    steady = [name for name, spot in is_spot.items() if not spot]
    for name, spot in is_spot.items():
        if not spot or not resources[name].get("GPU"):
            continue
        wanted = _compared(resources[name])
        fallbacks = [each for each in steady if _compared(resources[each]) == wanted]
        if not fallbacks:
            yield (
                f"{where}.{name}: GPUs on spot without a fallback, add a group with "
                "the same resources that is not on spot"
            )
        for each in fallbacks:
            if ON_DEMAND not in resources[each]:
                yield (
                    f"{where}.{each}.resources: add {ON_DEMAND}: 1, by which infaug "
                    "requests this group when spot is refused"
                )
            if kinds[name].get("priority", 0) <= kinds[each].get("priority", 0):
                yield (
                    f"{where}.{name}.priority: must be higher than that of {each}, or "
                    "spot is not preferred"
                )


def _compared(resources: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in resources.items() if k not in (ON_DEMAND, "memory")}


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


def aws_mistakes(file: Mapping[str, Any]) -> Iterator[str]:
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


def is_spot_pod(spec: Mapping[str, Any]) -> bool:
    """Whether a pod asks for a node that may be taken away."""
    selected = spec.get("nodeSelector") or {}
    return any(selected.get(key) == value for key, value in SPOT_LABELS.items())


def spot_pod_mistakes(where: str, cluster: Mapping[str, Any]) -> Iterator[str]:
    """What keeps pods pending, or puts a fallback onto a spot machine."""
    groups = cluster.get("workerGroupSpecs") or []
    for group in groups:
        [first, *_] = group["template"]["spec"]["containers"]
        label = f"{where}.workerGroupSpecs.{group['groupName']}"
        limits = (first.get("resources") or {}).get("limits") or {}
        if str(limits.get("cpu")) in WHOLE_MACHINES:
            yield (
                f"{label}: cpu {limits['cpu']} is a whole machine, of which Kubernetes "
                "takes a part: ask for one less, or the pod stays pending"
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
        if group in spot:
            if "preStop" not in (spec["containers"][0].get("lifecycle") or {}):
                yield (
                    f"{label}.containers[0].lifecycle.preStop: missing, run python -m "
                    "infaug.distributed.notice, or no checkpoint is taken in time"
                )
        elif _has_gpu(spec) and not (spec.get("affinity") or {}).get("nodeAffinity"):
            yield (
                f"{label}.affinity.nodeAffinity: missing, keep the fallback off spot "
                "nodes (DoesNotExist), where it would go with them"
            )


def _has_gpu(spec: Mapping[str, Any]) -> bool:
    limits = (spec["containers"][0].get("resources") or {}).get("limits") or {}
    return "nvidia.com/gpu" in limits

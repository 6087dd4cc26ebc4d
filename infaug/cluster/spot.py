"""GPUs on spot must have a fallback: there are hours without any."""

from collections.abc import Iterator, Mapping
from typing import Any

SPOT_LABELS = {
    "cloud.google.com/gke-spot": "true",
    "eks.amazonaws.com/capacityType": "SPOT",
    "karpenter.sh/capacity-type": "spot",
}


def spot_mistakes(
    where: str, is_spot: Mapping[str, bool], resources: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """A mistake for each spot group with GPUs that nothing falls back to.

    The fallback has the same resources: where they differ, Ray prefers the group that
    a bundle fills best, whether it is on spot or not.
    """
    steady = [resources[name] for name, spot in is_spot.items() if not spot]
    for name, spot in is_spot.items():
        if spot and resources[name].get("GPU") and resources[name] not in steady:
            yield (
                f"{where}.{name}: GPUs on spot without a fallback, add a group with "
                "the same resources that is not on spot"
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


def is_spot_pod(spec: Mapping[str, Any]) -> bool:
    """Whether a pod asks for a node that may be taken away."""
    selected = spec.get("nodeSelector") or {}
    return any(selected.get(key) == value for key, value in SPOT_LABELS.items())

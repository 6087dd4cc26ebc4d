"""Ray: which version, and whether the cluster that RAY_ADDRESS names answers."""

from collections.abc import Mapping
from importlib import metadata
from typing import Any

from packaging.version import Version

from infaug.doctor.finding import Finding, judge

# Older ones lack elastic training, notice of preemption or priority of groups.
MIN_RAY = "2.60"


def check_version() -> Finding:
    """Of the installed package; nothing is imported."""
    try:
        found = metadata.version("ray")
    except metadata.PackageNotFoundError:
        return judge("ray", False, "not installed", "pip install --upgrade infaug")
    is_new = Version(found) >= Version(MIN_RAY)
    remedy = f"pip install --upgrade 'ray[default,data,train,tune]>={MIN_RAY}'"
    return judge("ray", is_new, found, remedy)


def judge_cluster(address: str, probe: Mapping[str, Any]) -> Finding:
    """What the probe of the cluster says."""
    if "error" in probe:
        remedy = (
            "is its head running and reachable from here, with the same ray and "
            "Python? unset RAY_ADDRESS to train on this machine"
        )
        return judge("cluster", False, f"{address}: {probe['error']}", remedy)
    about = ", ".join(
        f"{value:g} {key}" if isinstance(value, int | float) else f"{key} {value}"
        for key, value in probe.items()
    )
    return judge("cluster", True, f"{address}: {about}", "")

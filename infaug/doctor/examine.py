"""All checks of the doctor, the slow ones side by side in processes of their own."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement

from infaug.doctor.machine import (
    Finding,
    check_cores,
    check_disks,
    check_memory,
    check_python,
    check_shared_memory,
    judge,
)
from infaug.doctor.torch_check import judge_torch

# Extras of those who use infaug; the others are for those who work on it.
EXTRAS = ("onnx", "optuna", "mlflow", "photos")


def examine(
    environment: Mapping[str, str], cache: Path, wait_s: float
) -> list[Finding]:
    """What stands in the way of infaug on this machine, and what does not.

    Args:
        environment: such as `os.environ`, which the probes have in any case.
        cache: where infaug keeps what can be made again.
        wait_s: how long torch and the cluster may take to answer.
    """
    address = environment.get("RAY_ADDRESS")
    torch = Probe.start("infaug.doctor.torch_check")
    cluster = Probe.start("infaug.distributed.local") if address else None
    findings = [check_python(), *check_packages(), *judge_torch(torch.answer(wait_s))]
    if cluster and address:
        findings.append(judge_cluster(address, cluster.answer(wait_s)))
    findings += [*check_cores(environment), check_memory(), *check_shared_memory()]
    return [*findings, *check_disks(cache)]


class Probe(NamedTuple):
    """A module that prints a JSON object as its last line, once started."""

    process: subprocess.Popen[str]
    began: float

    @classmethod
    def start(cls, module: str) -> "Probe":
        """Begin; `answer` waits."""
        command = [sys.executable, "-m", module]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
        return cls(process, time.monotonic())

    def answer(self, wait_s: float) -> dict[str, Any]:
        """What it printed within this time from its start, or {"error": why not}."""
        left = max(self.began + wait_s - time.monotonic(), 0.01)
        try:
            out, err = self.process.communicate(timeout=left)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            return {"error": f"no answer within {wait_s:g} s", "is_late": True}
        lines = out.strip().splitlines()
        if self.process.returncode == 0 and lines:
            return json.loads(lines[-1])
        reasons = err.strip().splitlines()
        return {"error": [f"exit code {self.process.returncode}", *reasons][-1]}


def check_packages() -> list[Finding]:
    """A line for what is needed, and one for each extra."""
    wanted = [Requirement(text) for text in metadata.requires("infaug") or ()]
    needed = [each for each in wanted if _applies(each, "")]
    lacking = [text for each in needed if (text := _lack(each))]
    ray = "" if lacking else f", ray {metadata.version('ray')} among them"
    found = "; ".join(lacking) or f"all {len(needed)} that infaug needs{ray}"
    remedy = "pip install --upgrade infaug"
    findings = [judge("packages", not lacking, found, remedy)]
    for name in EXTRAS:
        parts = [each for each in wanted if each.marker and _applies(each, name)]
        lacking = [text for each in parts if (text := _lack(each))]
        found = f"not installed, optional: {'; '.join(lacking)}"
        if not lacking:
            found = ", ".join(f"{p.name} {metadata.version(p.name)}" for p in parts)
        remedy = f"pip install 'infaug[{name}]' if you want it"
        findings.append(judge(f"extra {name}", not lacking, found, remedy, "note"))
    return findings


def _applies(requirement: Requirement, extra: str) -> bool:
    marker = requirement.marker
    return marker is None or marker.evaluate({"extra": extra})


def _lack(requirement: Requirement) -> str:
    """What is wrong with an installed package; empty if nothing is."""
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement.name} is missing"
    if requirement.specifier.contains(version, prereleases=True):
        return ""
    return f"{requirement.name} {version} is not {requirement.specifier}"


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
    return judge("cluster", True, f"{address}: {about}")

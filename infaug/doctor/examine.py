"""All checks, the slow ones side by side in processes of their own."""

from collections.abc import Mapping
from pathlib import Path

from infaug.doctor.finding import Finding
from infaug.doctor.machine import (
    check_cores,
    check_disks,
    check_load,
    check_memory,
    check_python,
    check_shared_memory,
)
from infaug.doctor.packages import check_packages
from infaug.doctor.probe import Probe
from infaug.doctor.ray_check import check_version, judge_cluster
from infaug.doctor.torch_check import judge_torch


def examine(
    environment: Mapping[str, str], cache: Path, patience_s: float
) -> list[Finding]:
    """What stands in the way of infaug on this machine, and what does not.

    Args:
        environment: such as `os.environ`, which the probes have in any case.
        cache: where infaug keeps what can be made again.
        patience_s: how long torch and the cluster may take to answer.
    """
    address = environment.get("RAY_ADDRESS")
    torch = Probe.start("infaug.doctor.torch_probe")
    cluster = Probe.start("infaug.distributed.local") if address else None
    findings = [check_python(), *check_packages()]
    findings += judge_torch(torch.answer(patience_s))
    findings.append(check_version())
    if cluster and address:
        findings.append(judge_cluster(address, cluster.answer(patience_s)))
    findings += [check_cores(environment), check_load(), check_memory()]
    if shared := check_shared_memory():
        findings.append(shared)
    return [*findings, *check_disks(cache)]

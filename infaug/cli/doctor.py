"""`infaug doctor`: is this machine fit for infaug, and what is to be done?"""

import os
from dataclasses import dataclass

from infaug.cli.output import Output, tell


@dataclass(frozen=True, kw_only=True)
class Doctor(Output):
    """Check this machine, and say for each fault what to do.

    Python, packages and extras, torch and its GPUs, torchvision, Ray and the cluster at
    RAY_ADDRESS, cores, memory, /dev/shm and disks. Takes seconds, writes nothing. Exit
    code 2 if something must be fixed.
    """

    wait_s: float = 12.0
    """How long torch and the cluster may take to answer."""


def doctor(asked: Doctor) -> int:
    """`infaug doctor`."""
    from infaug.cache import cache_folder
    from infaug.doctor.examine import examine

    if asked.wait_s <= 0:
        raise ValueError(f"--wait-s must be > 0, got {asked.wait_s:g}")
    findings = examine(os.environ, cache_folder(), asked.wait_s)
    faults = [each for each in findings if each.status == "fix"]
    lines = [line for each in findings for line in each.lines()]
    names = ", ".join(each.name for each in faults)
    lines.append(f"to be fixed: {names}" if faults else "nothing needs to be fixed")
    found = {"is_fit": not faults, "findings": [each.as_dict() for each in findings]}
    tell(asked, lines, found)
    return 2 if faults else 0

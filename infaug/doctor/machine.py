"""Python, cores, memory and disk, and how a finding is described."""

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from infaug.cores import usable_cores

GIB = 2**30
MIN_PYTHON = (3, 11)
MIN_MEMORY_GIB = 2.0
MIN_DISK_GIB = 1.0
MIN_SHM_GIB = 1.0
MEMORY_INFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")
SHM = Path("/dev/shm")

Status = Literal["ok", "note", "fix"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the doctor's report."""

    name: str
    status: Status
    """`note`: works, but worth knowing; `fix`: infaug cannot work like this."""
    found: str
    remedy: str = ""
    """What to do; empty if there is nothing to be done."""

    def lines(self) -> list[str]:
        """For people; the remedy on a line of its own."""
        mark = {"ok": "ok  ", "note": "note", "fix": "FIX "}[self.status]
        line = f"{mark}  {self.name:<18} {self.found}"
        return [line, *([f"{'':24} -> {self.remedy}"] if self.remedy else [])]

    def as_dict(self) -> dict[str, str]:
        """For machines."""
        return asdict(self)


def judge(
    name: str, holds: bool, found: str, remedy: str, otherwise: Status = "fix"
) -> Finding:
    """`ok`, or `fix` with the remedy."""
    if holds:
        return Finding(name=name, status="ok", found=found)
    return Finding(name=name, status=otherwise, found=found, remedy=remedy)


def mention(name: str, holds: bool, found: str, remedy: str) -> Finding:
    """`ok`, or `note` with the remedy."""
    return judge(name, holds, found, remedy, otherwise="note")


def check_python() -> Finding:
    """Its version, and that it is a 64-bit one."""
    found = f"{sys.version.split()[0]} at {sys.executable}"
    is_new = sys.version_info >= MIN_PYTHON and sys.maxsize > 2**32
    needed = ".".join(map(str, MIN_PYTHON))
    return judge("python", is_new, found, f"install 64-bit Python {needed} or newer")


def check_load() -> Finding:
    """Whether others leave the cores to this process."""
    load, num = os.getloadavg()[0], usable_cores()
    remedy = (
        "wait for what else runs, or set OMP_NUM_THREADS=1: threads that wait for each "
        "other on cores that are taken cost many times their work"
    )
    return mention("load", load <= num, f"{load:.1f} on {num} cores", remedy)


def check_cores(environment: Mapping[str, str]) -> Finding:
    """Cores this process may use, and a setting that keeps torch from using them."""
    num = usable_cores()
    threads = environment.get("OMP_NUM_THREADS")
    found = f"{num}" + (f", OMP_NUM_THREADS={threads}" if threads else "")
    is_used = threads is None or not threads.isdecimal() or int(threads) >= num
    remedy = "unset OMP_NUM_THREADS unless several runs share this machine"
    return mention("cores", is_used, found, remedy)


def check_memory() -> Finding:
    """What is free, within the limit of a container."""
    free = free_memory()
    if free is None:
        return Finding(name="memory", status="ok", found="this system does not say")
    remedy = "close other programs, or give the container or machine more memory"
    found = f"{free / GIB:.1f} GiB free"
    return judge("memory", free >= MIN_MEMORY_GIB * GIB, found, remedy)


def free_memory() -> int | None:
    """Bytes; None where the system does not say."""
    if not MEMORY_INFO.exists():
        return None
    lines = MEMORY_INFO.read_text().splitlines()
    kib = next(
        int(line.split()[1]) for line in lines if line.startswith("MemAvailable")
    )
    limit, used = (_number(CGROUP / f"memory.{n}") for n in ("max", "current"))
    if limit is None or used is None:
        return kib * 1024
    return min(kib * 1024, limit - used)


def _number(path: Path) -> int | None:
    """What a file of the kernel says, if it is there and a number."""
    text = path.read_text().strip() if path.exists() else ""
    return int(text) if text.isdecimal() else None


def check_shared_memory() -> Finding | None:
    """Space for Ray's object store; None where there is no such place."""
    if not SHM.exists():
        return None
    size = shutil.disk_usage(SHM).total
    remedy = (
        "only runs on Ray need it; in a container give --shm-size=8g, or mount an "
        "emptyDir of medium Memory at /dev/shm"
    )
    found = f"{size / GIB:.1f} GiB at {SHM}"
    return mention("shared memory", size >= MIN_SHM_GIB * GIB, found, remedy)


def check_disks(cache: Path) -> list[Finding]:
    """Free space where runs, the cache and temporary files go."""
    places = {
        "disk here": Path.cwd(),
        "disk of the cache": cache,
        "disk of tmp": Path(tempfile.gettempdir()),
    }
    return [check_disk(name, place) for name, place in places.items()]


def check_disk(name: str, place: Path) -> Finding:
    """Free space at a place, and that it can be written."""
    existing = next(p for p in (place, *place.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    found = f"{free / GIB:.1f} GiB free at {place}"
    if not os.access(existing, os.W_OK):
        found, holds = f"{existing} cannot be written", False
    else:
        holds = free >= MIN_DISK_GIB * GIB
    where = {
        "disk here": "choose --out elsewhere",
        "disk of the cache": "set XDG_CACHE_HOME",
        "disk of tmp": "set TMPDIR",
    }[name]
    return judge(name, holds, found, f"free space or gain access there, or {where}")

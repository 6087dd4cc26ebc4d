"""Python, cores, memory and disk, and how a finding is described."""

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infaug.cores import usable_cores

GIB = 2**30
MIN_PYTHON = (3, 11)
MIN_MEMORY_GIB, MIN_DISK_GIB, MIN_SHM_GIB = 2.0, 1.0, 1.0
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


def judge(
    name: str, holds: bool, found: str, remedy: str = "", otherwise: Status = "fix"
) -> Finding:
    """`ok`, or `fix` with the remedy."""
    if holds:
        return Finding(name=name, status="ok", found=found)
    return Finding(name=name, status=otherwise, found=found, remedy=remedy)


def check_python() -> Finding:
    """Its version, and that it is a 64-bit one."""
    found = f"{sys.version.split()[0]} at {sys.executable}"
    is_new = sys.version_info >= MIN_PYTHON and sys.maxsize > 2**32
    needed = ".".join(map(str, MIN_PYTHON))
    return judge("python", is_new, found, f"install 64-bit Python {needed} or newer")


def check_cores(environment: Mapping[str, str]) -> list[Finding]:
    """Cores this process may use, and whether others and settings leave them to it."""
    load, num = os.getloadavg()[0], usable_cores()
    threads = environment.get("OMP_NUM_THREADS")
    found = f"{num}" + (f", OMP_NUM_THREADS={threads}" if threads else "")
    is_used = threads is None or not threads.isdecimal() or int(threads) >= num
    unset = "unset OMP_NUM_THREADS unless several runs share this machine"
    wait = (
        "wait for what else runs, or set OMP_NUM_THREADS=1: threads that wait for each "
        "other on cores that are taken cost many times their work"
    )
    return [
        judge("cores", is_used, found, unset, "note"),
        judge("load", load <= num, f"{load:.1f} on {num} cores", wait, "note"),
    ]


def check_memory() -> Finding:
    """What is free, within the limit of a container."""
    free = free_memory()
    if free is None:
        return judge("memory", True, "this system does not say")
    remedy = "close other programs, or give the container or machine more memory"
    found = f"{free / GIB:.1f} GiB free"
    return judge("memory", free >= MIN_MEMORY_GIB * GIB, found, remedy)


def free_memory() -> int | None:
    """Bytes; None where the system does not say."""
    if not MEMORY_INFO.exists():
        return None
    lines = MEMORY_INFO.read_text().splitlines()
    kib = next(int(line.split()[1]) for line in lines if "MemAvailable" in line)
    limit, used = (_number(CGROUP / f"memory.{n}") for n in ("max", "current"))
    if limit is None or used is None:
        return kib * 1024
    return min(kib * 1024, limit - used)


def _number(path: Path) -> int | None:
    """What a file of the kernel says, if it is there and a number."""
    text = path.read_text().strip() if path.exists() else ""
    return int(text) if text.isdecimal() else None


def check_shared_memory() -> list[Finding]:
    """Space for Ray's object store; nothing where there is no such place."""
    if not SHM.exists():
        return []
    size = shutil.disk_usage(SHM).total
    remedy = (
        "only runs on Ray need it; in a container give --shm-size=8g, or mount an "
        "emptyDir of medium Memory at /dev/shm"
    )
    found = f"{size / GIB:.1f} GiB at {SHM}"
    is_enough = size >= MIN_SHM_GIB * GIB
    return [judge("shared memory", is_enough, found, remedy, "note")]


def check_disks(cache: Path) -> list[Finding]:
    """Free space where runs, the cache and temporary files go."""
    return [
        check_disk("disk here", Path.cwd(), "choose --out elsewhere"),
        check_disk("disk of the cache", cache, "set XDG_CACHE_HOME"),
        check_disk("disk of tmp", Path(tempfile.gettempdir()), "set TMPDIR"),
    ]


def check_disk(name: str, place: Path, otherwise: str) -> Finding:
    """Free space at a place, and that it can be written."""
    remedy = f"free space or gain access there, or {otherwise}"
    existing = next(p for p in (place, *place.parents) if p.exists())
    if not os.access(existing, os.W_OK):
        return judge(name, False, f"{existing} cannot be written", remedy)
    free = shutil.disk_usage(existing).free
    found = f"{free / GIB:.1f} GiB free at {place}"
    return judge(name, free >= MIN_DISK_GIB * GIB, found, remedy)

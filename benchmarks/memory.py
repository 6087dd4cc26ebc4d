"""Peak memory of this process on Linux, forgetting what went before."""

import resource
from pathlib import Path

STATUS = Path("/proc/self")


def resident() -> int:
    """Bytes in memory now."""
    pages = int((STATUS / "statm").read_text().split()[1])
    return pages * resource.getpagesize()


def forget_peak() -> None:
    """The high-water mark starts again from here."""
    (STATUS / "clear_refs").write_text("5")


def peak() -> int:
    """The high-water mark (VmHWM), bytes."""
    lines = (STATUS / "status").read_text().splitlines()
    line = next(line for line in lines if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024

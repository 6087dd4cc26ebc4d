"""How many cores this process may use."""

import os


def usable_cores() -> int:
    """What the system lets it run on; where that is not known, all cores."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

"""A cluster's processes by what they do, to be killed at a bad moment."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from .heads import Head

# As Ray writes them into the title of a process.
TITLES = {
    "training worker": b"ray::RayTrainWorker",
    "pool actor": b"ray::PoolActor",
    "coordinator": b"ray::Coordinator",
    "data worker": b"ray::MapWorker|ray::MapBatches|ray::_map_task",
}


def kill_one(kind: str, head: Head, draw: float) -> bool:
    """SIGKILL one of a kind, chosen by `draw` in [0, 1); False if there is none now."""
    found = pids(kind, head)
    if not found:
        return False
    with suppress(ProcessLookupError):
        os.kill(found[int(draw * len(found))], signal.SIGKILL)
        return True
    return False


def pids(kind: str, head: Head) -> list[int]:
    """Processes of a kind that a node of this cluster started."""
    titles, found = TITLES[kind].split(b"|"), []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            title = (folder / "cmdline").read_bytes()
            if title.startswith(tuple(titles)) and _is_of(folder, head):
                found.append(int(folder.name))
    return sorted(found)


def kill_group(name: str) -> None:
    """SIGKILL the nodes that the autoscaler added of a group, as machines die."""
    mark = f"RAY_NODE_TYPE_NAME={name}\0".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (folder / "environ").read_bytes():
                os.kill(int(folder.name), signal.SIGKILL)


def _is_of(process: Path, head: Head) -> bool:
    parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
    return head.folder.encode() in Path("/proc", parent, "cmdline").read_bytes()

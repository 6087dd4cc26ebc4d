"""One process at a time in a folder.

The lock is the kernel's `flock`, which ends with its process. On a network disk it is
the server that ends it, when a machine that died has not renewed its lease: 90 seconds
on NFS. So a lock of another machine is waited for, and one of this machine is not.
"""

import contextlib
import fcntl
import socket
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO

DEAD_AFTER_S = 150.0  # the lease of an NFS server, and a margin
POLL_S = 0.5


@contextlib.contextmanager
def locked(file: Path, refusal: str, wait_s: float = 0.0) -> Iterator[None]:
    """Keep other processes out while this one holds `file`.

    Args:
        file: the lock.
        refusal: the message if another process holds it.
        wait_s: for a process of this machine, such as one that a killed driver left.

    Raises:
        ValueError: if a process of this machine still holds it then, or one of another
            machine still does after `DEAD_AFTER_S`.
    """
    with file.open("a+") as lock:
        if not _take(lock):
            _wait(lock, file, refusal, wait_s)
        lock.truncate(0)
        lock.write(socket.gethostname())
        lock.flush()
        yield


def _take(lock: IO[str]) -> bool:
    """Whether the lock was free; it is then held."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait(lock: IO[str], file: Path, refusal: str, wait_s: float) -> None:
    """Wait for as long as the lock may stand."""
    lock.seek(0)
    host = lock.read().strip()  # whose process holds it
    if host not in ("", socket.gethostname()):
        wait_s, refusal = DEAD_AFTER_S, f"{refusal} (it runs on {host})"
        warnings.warn(
            f"{file.parent} is locked by a process on {host}: waiting up to "
            f"{DEAD_AFTER_S:.0f} s in case that machine is gone",
            stacklevel=4,
        )
    until = time.monotonic() + wait_s
    while not _take(lock):
        if time.monotonic() >= until:
            raise ValueError(refusal)
        time.sleep(POLL_S)

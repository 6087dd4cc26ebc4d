"""One process at a time at a URL, as far as an object store can say so.

The holder writes an object with its name and a count that grows every few seconds. Who
finds the object of another watches it: if it changes, somebody is alive there; if it
stands still for a minute, its holder is dead. No clocks are compared.

Object stores have no common test-and-set, so this cannot exclude all: two that begin
within the same second may both write, until all but the last writer give up; and a
holder that was suspended for a minute may finish an upload before it sees that another
has taken over. Uploads are whole files, so even then the URL holds whole files.
"""

import contextlib
import json
import socket
import threading
import time
import warnings
from typing import Any

from infaug.storage import Location
from infaug.transfer import put_bytes, remove

BEAT_S = 15.0
DEAD_AFTER_S = 60.0
SETTLE_S = 1.0  # until what two wrote at once can be read by both


class HeldError(ValueError):
    """Another process writes there."""


class Lease:
    """The right to write at a URL; a context manager.

    Args:
        place: the object.
        owner: who asks. An object of the same owner is one's own: processes that share
            a name must exclude each other by other means.
    """

    def __init__(self, place: Location, owner: str):
        self.place, self.owner = place, owner
        self._count = 0
        # Some stores replace an object in two steps, between which it is not there.
        self._writing = threading.Lock()
        self._over = threading.Event()

    def __enter__(self) -> "Lease":
        """Take it.

        Raises:
            HeldError: if another process holds it.
            ValueError: if the storage does not answer, or cannot be written.
        """
        found = self._read()
        if found is not None and not self._is_own(found):
            self._outlive(found)
        self._write()
        time.sleep(SETTLE_S)
        self.check()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give it back, if it is still held and the storage answers."""
        self._over.set()
        self._thread.join()
        with contextlib.suppress(ValueError):
            if self._is_own(self._read()):
                remove(self.place)

    def check(self) -> None:
        """Before something is written.

        Raises:
            HeldError: if another process has taken over, whether it still runs or not.
            ValueError: if the storage does not answer.
        """
        with self._writing:
            found = self._read()
        if found is None:
            raise HeldError(
                f"another process has run in {self.place.parent} while this one stood "
                "still: the same command continues from what that one left"
            )
        if not self._is_own(found):
            raise self._refusal(found)

    def _outlive(self, found: dict[str, Any]) -> None:
        """Wait for as long as a dead holder may seem alive."""
        warnings.warn(
            f"{self.place.parent} was last written by a process on {found.get('host')}:"
            f" watching for {DEAD_AFTER_S:.0f} s whether it still runs",
            stacklevel=2,
        )
        until = time.monotonic() + DEAD_AFTER_S
        while time.monotonic() < until:
            time.sleep(min(BEAT_S, DEAD_AFTER_S) / 3)
            now = self._read()
            if now is None or self._is_own(now):
                return
            if now != found:
                raise self._refusal(now)

    def _refusal(self, found: dict[str, Any]) -> HeldError:
        return HeldError(
            f"another process, on {found.get('host')}, is running in "
            f"{self.place.parent}: wait for it, or use another --out"
        )

    def _read(self) -> dict[str, Any] | None:
        """What the holder wrote, if there is one."""
        return json.loads(self.place.read_bytes()) if self.place.is_file() else None

    def _is_own(self, found: dict[str, Any] | None) -> bool:
        return found is not None and found["owner"] == self.owner

    def _write(self) -> None:
        self._count += 1
        about = {"owner": self.owner, "host": socket.gethostname()}
        put_bytes(json.dumps({**about, "count": self._count}).encode(), self.place)

    def _beat(self) -> None:
        while not self._over.wait(BEAT_S):
            # Storage that is away for a moment is no reason to stop: uploads will tell.
            with contextlib.suppress(ValueError), self._writing:
                if not self._is_own(self._read()):
                    return
                self._write()

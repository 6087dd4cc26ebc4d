"""A run or sweep kept at a URL: a folder on this machine, copied there as it grows.

CACHE/runs/KEY/run/          the folder; KEY is a hash of the URL
CACHE/runs/KEY/mirror.json   what of it is at the URL, and the stamp of that state
CACHE/runs/KEY/owner         the name this machine's processes have in the lease
URL/...                      the same files, URL/mirror.json (stamp), URL/lease.json

The URL is what counts. Who begins on another machine, or after another machine went on,
brings the run down; a folder that is ahead of the URL by an upload that failed is kept.
Files are uploaded in the order in which they refer to each other, so the URL always
holds a run that can be continued, whenever the uploading process dies.
"""

import contextlib
import json
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Literal

from infaug.cache import cache_folder
from infaug.lock import locked
from infaug.record.atomic import read_json, write_bytes, write_json, writing
from infaug.record.lease import HeldError, Lease
from infaug.storage import location
from infaug.transfer import PARTIAL, fetch, put, put_bytes, remove

STAMP, LEASE = "mirror.json", "lease.json"
# Of this machine alone: locks, and what Ray keeps while it trains.
UNSHARED = ("lock", "ray", "activations")
# What says whose folder it is, and folders below that are mirrored by themselves.
MARK = {"run": "asked.json", "sweep": "sweep.json"}
APART = {"run": (), "sweep": ("trials", "confirm", "tune")}
BUSY = "another process is running in {}: wait for it, or use another --out"
WAITS_S = (1.0, 4.0, 10.0)  # before an upload is tried again


class Mirror:
    """The folder of a run or sweep here, and its copy at a URL."""

    def __init__(self, url: str, kind: Literal["run", "sweep"] = "run"):
        self.home, self.kind = location(url), kind
        key = blake2b(self.home.url.encode(), digest_size=10).hexdigest()
        self.kept = cache_folder() / "runs" / key
        self.folder = self.kept / "run"
        self._lease: Lease | None = None

    def bring(self, wait_s: float = 0.0) -> None:
        """Make the folder that of the URL, if it is not, or ahead of it.

        Raises:
            ValueError: if the URL cannot be read, holds something else, or a process of
                this machine is running in it, and has not ended after `wait_s`.
        """
        with self._locked(wait_s):
            stamp, names = self._stamp(), self._names()
            if self._is_known(stamp, names):
                return
            if names and MARK[self.kind] not in names:
                raise ValueError(
                    f"{self.home} holds {names[0]!r} and no {self.kind} of infaug: "
                    "nothing was touched, choose an empty or new place for --out"
                )
            (self.kept / STAMP).unlink(missing_ok=True)
            self._clear()
            for name in names:
                fetch(self.home / name, self.folder / name)
            self._keep(stamp, {n: a for n, a in self._here().items() if n in names})

    def push(self) -> None:
        """Upload what has changed, then remove what is gone.

        Raises:
            ValueError: if that fails, also when tried again, or another process has
                taken over.
        """
        state, here = self._state(), self._here()
        assert state is not None, "brought before anything is written"
        there = state["files"]
        changed = [name for name in here if there.get(name) != here[name]]
        gone = [name for name in there if name not in here]
        if not changed and not gone:
            return
        # What an upload that fails leaves there is known to the next one.
        self._keep(state["stamp"], there | dict.fromkeys(changed))
        stamp, is_behind = uuid.uuid4().hex, False
        for wait in (*WAITS_S, None):
            try:
                if self._lease is None:
                    is_behind = self._stamp() not in (state["stamp"], stamp)
                self._upload(sorted(changed, key=_order), gone, stamp)
                break
            except HeldError:
                raise
            except ValueError as error:
                if wait is None:
                    raise ValueError(
                        f"the run could not be uploaded: {error}. {self.folder} on "
                        f"{socket.gethostname()} holds all of it, and there the same "
                        "command continues without loss"
                    ) from error
                time.sleep(wait)
        # Who only adds to a run holds no lease: others may go on with it meanwhile.
        self._keep(None if is_behind else stamp, here)

    def _upload(self, changed: list[str], gone: list[str], stamp: str) -> None:
        if self._lease:
            self._lease.check()
        if "result.json" in gone:  # What follows is of a run that is not finished.
            remove(self.home / "result.json")
        for name in changed:
            put(self.folder / name, self.home / name)
        for name in gone:
            remove(self.home / name)
        put_bytes(json.dumps({"stamp": stamp}).encode(), self.home / STAMP)

    @contextlib.contextmanager
    def held(self, wait_s: float = 0.0) -> Iterator[None]:
        """Keep others out, of this machine and others; see `record.lease`.

        Raises:
            ValueError: if somebody is running there, or was until a moment ago, after
                the run had been brought here.
        """
        with self._locked(wait_s), Lease(self.home / LEASE, self._owner()) as lease:
            if not self._is_known(self._stamp(), self._names()):
                raise ValueError(
                    f"another process has just gone on with the run in {self.home}, "
                    "and left: the same command continues from there"
                )
            self._lease = lease
            try:
                yield
            finally:
                self._lease = None

    def _is_known(self, stamp: str | None, names: Sequence[str]) -> bool:
        """Whether what is at the URL was brought from there, or put there from here.

        A process that died while it uploaded leaves files, but no stamp.
        """
        state = self._state()
        return (
            state is not None
            and state["stamp"] == stamp
            and set(names) <= set(state["files"])
        )

    def _locked(self, wait_s: float) -> contextlib.AbstractContextManager[None]:
        what = f"{self.kept}, from where the run is copied to {self.home},"
        with writing(what, "set XDG_CACHE_HOME to a folder that can be"):
            self.kept.mkdir(parents=True, exist_ok=True)
            (self.kept / "lock").touch()
        return locked(self.kept / "lock", BUSY.format(self.home), wait_s)

    def _owner(self) -> str:
        path = self.kept / "owner"
        if not path.exists():
            with writing(self.kept):
                write_bytes(path, uuid.uuid4().hex.encode())
        return path.read_text()

    def _stamp(self) -> str | None:
        place = self.home / STAMP
        return json.loads(place.read_bytes())["stamp"] if place.is_file() else None

    def _names(self) -> list[str]:
        return [name for name in self.home.names_below() if self._is_shared(name)]

    def _state(self) -> dict[str, Any] | None:
        return read_json(self.kept / STAMP)

    def _keep(self, stamp: str | None, files: Mapping[str, Any]) -> None:
        with writing(self.kept):
            write_json(self.kept / STAMP, {"stamp": stamp, "files": dict(files)})

    def _here(self) -> dict[str, list[int]]:
        """Size and time of every file that is shared."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            if path.is_file() and self._is_shared(name):
                about = path.stat()
                found[name] = [about.st_size, about.st_mtime_ns]
        return found

    def _is_shared(self, name: str) -> bool:
        return (
            name.partition("/")[0] not in (*UNSHARED, STAMP, LEASE)
            and os.path.basename(name) != "lock"
            and not name.endswith(PARTIAL)
            and not set(APART[self.kind]).intersection(name.split("/")[:-1])
        )

    def _clear(self) -> None:
        self.folder.mkdir(exist_ok=True)
        for path in self.folder.iterdir():
            if path.name not in UNSHARED:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _order(name: str) -> tuple[int, str]:
    """Sorts files so that each comes after those it refers to.

    >>> names = ["result.json", "trainings/a/checkpoints/7", "trainings/a/result.json"]
    >>> sorted([*names, "data.json"], key=_order)[1:]
    ['trainings/a/result.json', 'trainings/a/checkpoints/7', 'result.json']
    """
    if name in (*MARK.values(), "config.json", "data.json"):
        rank = 0
    elif os.path.basename(name) == "result.json":
        rank = 2 if "/" in name else 4
    elif "/checkpoints/" in name:
        rank = 3
    else:
        rank = 1
    return rank, name

"""Files of JSON lines that only grow, as metrics.jsonl and starts.jsonl.

Metrics hold nothing that depends on the clock, so the file of a resumed training equals
that of an undisturbed one.
"""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class AppendFile:
    """Open for appending; an error of the disk is raised by `flush`.

    There all processes of a training learn of a full disk. What could not be written is
    written later, where it belongs.
    """

    def __init__(self, path: Path):
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._unwritten = b""

    @classmethod
    def lines(cls, path: Path) -> "AppendFile":
        """A file of lines; half of one that a kill or a full disk left is dropped."""
        file = cls(path)
        file.cut(path.read_bytes().rfind(b"\n") + 1)
        return file

    def append(self, content: bytes) -> None:
        """Add to its end; a killed process leaves it there."""
        self._unwritten += content
        with contextlib.suppress(OSError):
            self._write()

    def _write(self) -> None:
        while self._unwritten:
            self._unwritten = self._unwritten[self._file.write(self._unwritten) :]

    def flush(self) -> int:
        """Put all on disk; the length of the file.

        Raises:
            OSError: if the disk is full or gone; the rest is written next time.
        """
        self._write()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def cut(self, length: int) -> None:
        """Drop what lies beyond a length."""
        self._file.truncate(length)
        self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Journal:
    """The metrics of a training, and each time it began."""

    def __init__(self, folder: Path):
        self._metrics = AppendFile.lines(folder / "metrics.jsonl")
        self._starts = AppendFile.lines(folder / "starts.jsonl")

    def metrics(self, line: dict[str, Any]) -> None:
        """Append one line of metrics."""
        self._metrics.append(as_line(line))

    def start(self, line: dict[str, Any]) -> None:
        """Append that the training begins, or begins again."""
        self._starts.append(as_line(line))

    def flush(self) -> int:
        """Put everything on disk; the length of the metrics.

        Raises:
            OSError: if the disk is full or gone; nothing is lost until this ends.
        """
        self._starts.flush()
        return self._metrics.flush()

    def cut(self, metrics_bytes: int) -> list[dict[str, Any]]:
        """Remove and return metrics past a checkpoint: they are repeated."""
        removed = read_lines(self._metrics.path, start=metrics_bytes)
        self._metrics.cut(metrics_bytes)
        return removed

    def close(self) -> None:
        """Close the files."""
        for file in (self._metrics, self._starts):
            file.close()


def as_line(value: Mapping[str, Any]) -> bytes:
    """One line of a journal."""
    return (json.dumps(value) + "\n").encode()


def read_lines(path: Path, *, start: int = 0) -> list[dict[str, Any]]:
    """The lines of a journal from a byte on; an unfinished last line is left out."""
    if not path.exists():
        return []
    whole = path.read_bytes()[start:].rpartition(b"\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


def append_line(path: Path, value: Mapping[str, Any]) -> None:
    """Add a line to a journal that one process writes; on disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(AppendFile.lines(path)) as file:
        file.append(as_line(value))
        file.flush()

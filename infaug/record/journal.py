"""metrics.jsonl and starts.jsonl: what happened, a JSON object a line.

Metrics hold nothing that depends on the clock, so the file of a resumed run equals that
of an undisturbed one. Starts only ever grow.
"""

import contextlib
import json
import os
from pathlib import Path
from typing import Any


class Lines:
    """A file open for appending; what the disk says of a line, `flush` raises.

    So that a full disk is told where all processes of a run listen.
    """

    def __init__(self, path: Path):
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._unwritten = b""

    def add(self, line: dict[str, Any]) -> None:
        """Append a line."""
        self._unwritten += (json.dumps(line) + "\n").encode()
        with contextlib.suppress(OSError):
            self._write()

    def _write(self) -> None:
        while self._unwritten:
            self._unwritten = self._unwritten[self._file.write(self._unwritten) :]

    def flush(self) -> int:
        """Put all on disk; the length of the file.

        Raises:
            OSError: if the disk is full or gone; the lines are written next time.
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
    """The files of a run."""

    def __init__(self, folder: Path):
        self._metrics = Lines(folder / "metrics.jsonl")
        self._starts = Lines(folder / "starts.jsonl")

    def metrics(self, line: dict[str, Any]) -> None:
        """Append one line of metrics."""
        self._metrics.add(line)

    def start(self, line: dict[str, Any]) -> None:
        """Append that the run begins, or begins again."""
        self._starts.add(line)

    def flush(self) -> int:
        """Put everything on disk; the length of the metrics.

        Raises:
            OSError: if the disk is full or gone; nothing is lost until this ends.
        """
        self._starts.flush()
        return self._metrics.flush()

    def cut(self, metrics_bytes: int) -> list[dict[str, Any]]:
        """Forget metrics past a checkpoint: the run repeats these lines."""
        forgotten = read_lines(self._metrics.path, start=metrics_bytes)
        self._metrics.cut(metrics_bytes)
        return forgotten

    def close(self) -> None:
        """Close the files."""
        for lines in (self._metrics, self._starts):
            lines.close()


def read_lines(path: Path, *, start: int = 0) -> list[dict[str, Any]]:
    """The lines of a journal from a byte on; an unfinished last line is left out."""
    if not path.exists():
        return []
    whole = path.read_bytes()[start:].rpartition(b"\n")[0]
    return [json.loads(line) for line in whole.splitlines()]

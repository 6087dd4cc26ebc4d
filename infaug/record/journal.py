"""metrics.jsonl, timings.jsonl, starts.jsonl: what happened, a JSON object a line.

Metrics hold nothing that depends on the clock, so the file of a resumed run equals that
of an undisturbed one. The others do, and only ever grow.
"""

import json
import os
from pathlib import Path
from typing import Any


class Journal:
    """The files, open for appending."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._metrics = (folder / "metrics.jsonl").open("ab")
        self._timings = (folder / "timings.jsonl").open("ab")

    def metrics(self, line: dict[str, Any]) -> None:
        """Append one line of metrics."""
        self._metrics.write((json.dumps(line) + "\n").encode())

    def timing(self, line: dict[str, Any]) -> None:
        """Append one line of timings."""
        self._timings.write((json.dumps(line) + "\n").encode())
        self._timings.flush()

    def start(self, line: dict[str, Any]) -> None:
        """Append that the run begins, or begins again."""
        with (self.folder / "starts.jsonl").open("ab") as starts:
            starts.write((json.dumps(line) + "\n").encode())

    def flush(self) -> int:
        """Put metrics on disk; the length of the file."""
        self._metrics.flush()
        os.fsync(self._metrics.fileno())
        return self._metrics.tell()

    def cut(self, metrics_bytes: int) -> list[dict[str, Any]]:
        """Forget metrics past a checkpoint: the run repeats these lines."""
        path = self.folder / "metrics.jsonl"
        forgotten = read_lines(path, start=metrics_bytes)
        self._metrics.truncate(metrics_bytes)
        self._metrics.seek(0, os.SEEK_END)
        return forgotten

    def close(self) -> None:
        """Flush and close both files."""
        self._metrics.close()
        self._timings.close()


def read_lines(path: Path, *, start: int = 0) -> list[dict[str, Any]]:
    """The lines of a journal from a byte on; an unfinished last line is left out."""
    if not path.exists():
        return []
    whole = path.read_bytes()[start:].rpartition(b"\n")[0]
    return [json.loads(line) for line in whole.splitlines()]

"""metrics.jsonl and starts.jsonl: what happened, a JSON object a line.

Metrics hold nothing that depends on the clock, so the file of a resumed run equals that
of an undisturbed one. Starts only ever grow.
"""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infaug.record.growing import Growing


class Journal:
    """The files of a run."""

    def __init__(self, folder: Path):
        self._metrics = Growing.lines(folder / "metrics.jsonl")
        self._starts = Growing.lines(folder / "starts.jsonl")

    def metrics(self, line: dict[str, Any]) -> None:
        """Append one line of metrics."""
        self._metrics.append(as_line(line))

    def start(self, line: dict[str, Any]) -> None:
        """Append that the run begins, or begins again."""
        self._starts.append(as_line(line))

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
    with contextlib.closing(Growing.lines(path)) as file:
        file.append(as_line(value))
        file.flush()

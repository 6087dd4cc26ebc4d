"""metrics.jsonl: what happened, a JSON object a line.

It holds nothing that depends on the clock, so the file of a resumed run equals that of
an undisturbed one.
"""

import json
import os
from pathlib import Path
from typing import Any


class Journal:
    """The file, open for appending."""

    def __init__(self, folder: Path):
        self._metrics = (folder / "metrics.jsonl").open("ab")

    def metrics(self, line: dict[str, Any]) -> None:
        """Append one line of metrics."""
        self._metrics.write((json.dumps(line) + "\n").encode())

    def flush(self) -> int:
        """Put metrics on disk; the length of the file."""
        self._metrics.flush()
        os.fsync(self._metrics.fileno())
        return self._metrics.tell()

    def cut(self, metrics_bytes: int) -> None:
        """Forget metrics past a checkpoint: the run repeats that part."""
        self._metrics.truncate(metrics_bytes)
        self._metrics.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Flush and close the file."""
        self._metrics.close()


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a finished journal; an unfinished last line is left out."""
    if not path.exists():
        return []
    whole = path.read_bytes().rpartition(b"\n")[0]
    return [json.loads(line) for line in whole.splitlines()]

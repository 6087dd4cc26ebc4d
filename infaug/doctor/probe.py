"""Run a module as a process of its own: what hangs or crashes is a finding."""

import json
import subprocess
import sys
import time
from typing import Any, NamedTuple


class Probe(NamedTuple):
    """A module that prints a JSON object as its last line, on its way."""

    module: str
    process: subprocess.Popen[str]
    began: float

    @classmethod
    def start(cls, module: str) -> "Probe":
        """Begin; `answer` waits."""
        command = [sys.executable, "-m", module]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
        return cls(module, process, time.monotonic())

    def answer(self, patience_s: float) -> dict[str, Any]:
        """What it printed within this time from its start, or {"error": why not}."""
        left = max(self.began + patience_s - time.monotonic(), 0.01)
        try:
            out, err = self.process.communicate(timeout=left)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            return {"error": f"no answer within {patience_s:g} s", "is_late": True}
        lines = out.strip().splitlines()
        if self.process.returncode == 0 and lines:
            return json.loads(lines[-1])
        last = (err.strip().splitlines() or [f"exit code {self.process.returncode}"])[
            -1
        ]
        return {"error": last}

"""Runs that die at a chosen place, and what they leave."""

import json
import subprocess
import sys
from pathlib import Path

from tiny import tiny

from infaug.config import RunConfig, to_dict

# Runs until a given place is about to be recorded, then dies as from kill -9.
VICTIM = """
import json, os, signal, sys
import torch
from infaug.experiment.run import run
from infaug.config import RunConfig, from_dict
from infaug.record.display import Display

config, out, doom = json.loads(sys.argv[1])
torch.set_num_threads(1)
live = Display.step
def dying(self, cell, labels, round_, phase, steps, step, metrics):
    here = [labels["row"], round_, phase, step]
    if here == doom:
        os.kill(os.getpid(), signal.SIGKILL)
    live(self, cell, labels, round_, phase, steps, step, metrics)
Display.step = dying
run(from_dict(RunConfig, config), out, shown=False)
"""

CALM = tiny(controls="none")


def start(out: Path | str, doom: list | None, config: RunConfig = CALM) -> int:
    job = json.dumps([to_dict(config), str(out), doom])
    return subprocess.run([sys.executable, "-c", VICTIM, job], check=False).returncode


IN_TIME = (
    "timings.jsonl",
    "starts.jsonl",
    "mirror.json",
    "lock",
    "tensorboard",
    "result.json",
    "report.html",
)


def contents(run: Path) -> dict[str, bytes]:
    """Every file that does not depend on the clock, and the result but its seconds."""
    files = {}
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run)
        in_time = name.parts[0] in IN_TIME or name.name in IN_TIME[:4]
        if path.is_file() and not in_time:
            files[str(name)] = path.read_bytes()
    result = json.loads((run / "result.json").read_text())
    files["result.json"] = json.dumps({**result, "seconds": None}).encode()
    return files

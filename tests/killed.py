"""Runs that die or are interrupted at a chosen place, and what they leave."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from tiny import tiny

from infaug.config import RunConfig, to_dict
from infaug.record.display import Display

# Imports everything once; each line it reads is a run in a fork of it, which dies as
# from kill -9 when a given place is about to be recorded.
SERVER = """
import json, os, signal, sys, traceback
import torch
from infaug.experiment.run import run
from infaug.config import RunConfig, from_dict
from infaug.record.display import Display

def victim(config, out, doom, environment):
    live = Display.step
    def dying(self, training, round_, phase, steps, step, metrics):
        here = [self.names[training].split()[0], round_, phase, step]
        if here == doom:
            os.kill(os.getpid(), signal.SIGKILL)
        live(self, training, round_, phase, steps, step, metrics)
    Display.step = dying
    os.environ.update(environment)
    run(from_dict(RunConfig, config), out, shown=False)

torch.set_num_threads(1)
for line in sys.stdin:
    child = os.fork()
    if child:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    os.dup2(2, 1)
    code = 0
    try:
        victim(*json.loads(line))
    except BaseException:
        traceback.print_exc()
        code = 1
    os._exit(code)
"""

CALM = tiny(controls="none")


def start(out: Path | str, doom: list | None, config: RunConfig = CALM) -> int:
    """Do a run in a process of its own; its exit code."""
    server = _server()
    job = [to_dict(config), str(out), doom, dict(os.environ)]
    print(json.dumps(job), file=server.stdin, flush=True)
    return int(server.stdout.readline())


def start_and_kill(out: Path, dooms: list[list], config: RunConfig = CALM) -> None:
    """Start a run again and again, that it dies at each of these and then ends."""
    for doom in dooms:
        assert start(out, doom, config) == -9, f"was to die at {doom}"
    assert start(out, None, config) == 0


def interrupt(*_, **__) -> None:
    """In place of a function: Ctrl-C while it works."""
    raise KeyboardInterrupt


@contextmanager
def interrupted_at(*doom: str | int) -> Iterator[None]:
    """A run in this process must be interrupted there: method, round, phase, step."""
    live = Display.step

    def step(self, training, round_, phase, steps, number, metrics):
        if (self.names[training].split()[0], round_, phase, number) == doom:
            raise KeyboardInterrupt
        live(self, training, round_, phase, steps, number, metrics)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Display, "step", step)
        with pytest.raises(KeyboardInterrupt):
            yield


@cache
def _server() -> subprocess.Popen[str]:
    """Ends with this process, when its stdin does."""
    return subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


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


def different(run: Path, other: Path) -> list[str]:
    """The files that are not the same in both."""
    ours, theirs = contents(run), contents(other)
    return sorted(name for name in ours | theirs if ours.get(name) != theirs.get(name))

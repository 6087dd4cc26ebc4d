"""Ctrl-C in a terminal stops a run, and the same command continues it."""

import contextlib
import json
import os
import pty
import signal
import sys
import time
from pathlib import Path

import pytest
from killed import different
from tiny import tiny

from infaug.cli.terminal import INTERRUPTED
from infaug.config import to_dict

CHECKPOINTS = "trainings/*/checkpoints/*.safetensors"
CTRL_C = b"\x03"


def in_terminal(command: list[str], *, until: Path | None) -> tuple[int, str]:
    """Run in a terminal of its own; Ctrl-C is typed once `until` is there.

    Returns the exit code and all that the terminal showed.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        # As in a terminal, whoever started these tests.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execvp(command[0], command)
    shown = b""
    os.set_blocking(terminal, False)
    deadline, typed = time.monotonic() + 240, False
    code = None
    while code is None:
        with contextlib.suppress(OSError):  # nothing to read, or closed at its end
            shown += os.read(terminal, 1 << 16)
        if until is not None and not typed and list(until.glob(CHECKPOINTS)):
            os.write(terminal, CTRL_C)
            typed = True
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        done, status = os.waitpid(pid, os.WNOHANG)
        code = os.waitstatus_to_exitcode(status) if done else None
        time.sleep(0.01)
    os.close(terminal)
    return code, shown.decode(errors="replace")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ctrl_c_stops_a_run_and_the_same_command_ends_it_with_the_same_bytes(tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps(to_dict(tiny(controls="none"))))

    def fit(name: str) -> list[str]:
        command = [sys.executable, "-m", "infaug", "fit", "--config", str(config)]
        return [*command, "--out", str(tmp_path / name)]

    code, shown = in_terminal(fit("stopped"), until=tmp_path / "stopped")
    assert code == INTERRUPTED, shown
    assert "the same command continues" in shown
    assert "Traceback" not in shown
    assert not (tmp_path / "stopped" / "result.json").exists()
    for name in ("stopped", "calm"):
        code, shown = in_terminal(fit(name), until=None)
        assert code == 0, shown
    assert different(tmp_path / "stopped", tmp_path / "calm") == []

"""A lock keeps others out, and one that a dead machine left does not end a run."""

import fcntl
import socket
import threading

import pytest

from infaug import lock
from infaug.lock import locked


def hold(file, host):
    """Hold a lock in the name of another machine; call what is returned to end it."""
    held = file.open("w")
    held.write(host)
    held.flush()
    fcntl.flock(held, fcntl.LOCK_EX)
    return held.close


def test_a_process_of_this_machine_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "DEAD_AFTER_S", 1e9)
    with (
        locked(tmp_path / "lock", "taken"),
        pytest.raises(ValueError, match="taken"),
        locked(tmp_path / "lock", "taken"),
    ):
        pass
    with locked(tmp_path / "lock", "free again"):
        assert (tmp_path / "lock").read_text() == socket.gethostname()


def test_a_lock_that_a_dead_machine_left_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "POLL_S", 0.05)
    expire = hold(tmp_path / "lock", "gone")
    threading.Timer(0.5, expire).start()  # as the server does when the lease is over
    with pytest.warns(UserWarning, match="on gone"), locked(tmp_path / "lock", "taken"):
        assert (tmp_path / "lock").read_text() == socket.gethostname()


def test_a_machine_that_still_runs_keeps_its_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "POLL_S", 0.05)
    monkeypatch.setattr(lock, "DEAD_AFTER_S", 0.2)
    end = hold(tmp_path / "lock", "alive")
    with (
        pytest.warns(UserWarning, match="on alive"),
        pytest.raises(ValueError, match=r"taken.*runs on alive"),
        locked(tmp_path / "lock", "taken"),
    ):
        pass
    end()

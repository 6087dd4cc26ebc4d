"""What the standard library says of this machine, against what infaug needs."""

import os

from infaug.doctor import machine


def test_others_on_the_cores_are_mentioned(monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (5.0, 1.0, 1.0))
    _, found = machine.check_cores({})
    assert (found.status, found.found) == ("note", "5.0 on 2 cores")
    assert "OMP_NUM_THREADS=1" in found.remedy
    monkeypatch.setattr(os, "getloadavg", lambda: (1.5, 5.0, 5.0))
    assert machine.check_cores({})[1].status == "ok"

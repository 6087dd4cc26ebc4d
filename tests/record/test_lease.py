"""Who holds a URL keeps others out; who is dead does not."""

import json
import threading

import fsspec
import pytest

from infaug.record import lease
from infaug.record.lease import HeldError, Lease
from infaug.storage import location


@pytest.fixture
def place(monkeypatch):
    monkeypatch.setattr(lease, "BEAT_S", 0.05)
    monkeypatch.setattr(lease, "DEAD_AFTER_S", 1.0)
    monkeypatch.setattr(lease, "SETTLE_S", 0.0)
    yield location("memory://leases/lease.json")
    store = fsspec.filesystem("memory")
    if store.exists("/leases"):
        store.rm("/leases", recursive=True)


def left_behind(place, owner: str, count: int = 7) -> None:
    about = {"owner": owner, "host": "elsewhere", "count": count}
    fsspec.filesystem("memory").pipe("/leases/lease.json", json.dumps(about).encode())


def test_a_living_holder_keeps_others_out(place):
    with (
        Lease(place, "a"),
        pytest.warns(UserWarning, match="whether it still runs"),
        pytest.raises(HeldError, match="is running in memory://leases: wait for it"),
        Lease(place, "b"),
    ):
        pass


def test_it_is_free_again_when_the_holder_leaves(place):
    with Lease(place, "a"):
        pass
    assert not place.exists()
    with Lease(place, "b") as held:
        held.check()


def test_a_dead_holder_is_outlived(place):
    left_behind(place, "a")
    with (
        pytest.warns(UserWarning, match="last written by a process on elsewhere"),
        Lease(place, "b") as held,
    ):
        held.check()


def test_ones_own_is_taken_at_once(place, monkeypatch):
    left_behind(place, "a")
    monkeypatch.setattr(lease, "DEAD_AFTER_S", 3600.0)
    with Lease(place, "a") as held:
        held.check()


def test_a_holder_finds_out_that_another_took_over_and_leaves_it_alone(place):
    with Lease(place, "a") as held:
        left_behind(place, "b")
        with pytest.raises(HeldError, match="another process, on elsewhere, is"):
            held.check()
    assert json.loads(place.read_bytes())["owner"] == "b"


def leave(place) -> None:
    fsspec.filesystem("memory").rm("/leases/lease.json")


def test_a_holder_that_slept_while_another_came_and_went_has_lost_it(
    place, monkeypatch
):
    monkeypatch.setattr(lease, "BEAT_S", 3600.0)  # asleep
    with Lease(place, "a") as held:
        left_behind(place, "b")
        leave(place)
        with pytest.raises(
            HeldError, match=r"has run in memory://leases.*same command"
        ):
            held.check()


def test_a_holder_that_lost_it_does_not_take_it_again_by_itself(place, monkeypatch):
    monkeypatch.setattr(lease, "BEAT_S", 3600.0)
    with Lease(place, "a") as held:
        leave(place)
        monkeypatch.setattr(lease, "BEAT_S", 0.01)
        awake = threading.Thread(target=held._beat)
        awake.start()
        awake.join(0.5)
        assert not awake.is_alive()
    assert not place.exists()

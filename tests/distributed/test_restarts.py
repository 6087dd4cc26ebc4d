"""Workers that die are started again while that leads anywhere."""

from types import SimpleNamespace

import pytest
from full_disk import full_disk

pytest.importorskip("ray")
from infaug.distributed import restarts
from infaug.distributed.ray_private import ControllerError
from infaug.distributed.restarts import MAX_DEATHS, count_attempt, note_reason
from infaug.record.folder import RunFolder


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path)


def test_workers_that_die_at_one_place_are_given_up(folder):
    for _ in range(MAX_DEATHS):
        count_attempt(folder, 2)
    with pytest.raises(ValueError, match=rf"died {MAX_DEATHS} times since.*none.*mem"):
        count_attempt(folder, 2)


def test_a_new_checkpoint_or_a_finished_training_begins_the_count_again(folder):
    for _ in range(MAX_DEATHS):
        count_attempt(folder, 2)
    training = folder.training("base", 0)
    training.checkpoints.mkdir(parents=True)
    (training.checkpoints / "000007.safetensors").touch()
    for _ in range(MAX_DEATHS):
        count_attempt(folder, 2)
    training.finish({}, {"row": "base", "seed": 0})
    count_attempt(folder, 2)


def test_a_resize_is_no_death(folder):
    for num_workers in (8, 7, 6, 5, 6, 7, 8, 7):
        count_attempt(folder, num_workers)


def test_a_timeout_is_reported_as_one_and_not_as_a_full_memory(folder):
    for _ in range(MAX_DEATHS):
        count_attempt(folder, 2)
        note_reason(folder, RuntimeError("Timed out waiting 600000ms\nframe #0"))
    with pytest.raises(ValueError, match="RuntimeError: Timed out waiting") as refusal:
        count_attempt(folder, 2)
    assert "memory" not in str(refusal.value)
    assert "frame" not in str(refusal.value)


def test_a_full_disk_is_told_at_once_and_not_as_a_death_of_workers(folder):
    with full_disk(8), pytest.raises(ValueError, match=r"cannot be written.*make room"):
        count_attempt(folder, 2)


def failing(times: int):
    """A trainer whose workers cannot be set up so many times, then train."""
    left = [times]

    class Trainer:
        def fit(self):
            if left[0]:
                left[0] -= 1
                raise ControllerError(RuntimeError("the node left meanwhile"))
            return SimpleNamespace(return_value={"result": 1})

    return Trainer


def test_a_setup_that_fails_three_times_does_not_end_the_run(monkeypatch):
    monkeypatch.setattr(restarts, "SETUP_PAUSE_S", 0.0)
    assert restarts.fit_again(failing(3)) == {"result": 1}


def test_a_setup_that_always_fails_ends_with_its_reason(monkeypatch):
    monkeypatch.setattr(restarts, "SETUP_PAUSE_S", 0.0)
    with pytest.raises(ValueError, match="5 times in a row: the node left meanwhile"):
        restarts.fit_again(failing(99))

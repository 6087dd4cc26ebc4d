"""Workers that die are started again while that leads anywhere."""

import pytest
from full_disk import full_disk

pytest.importorskip("ray")
from infaug.distributed.attempts import MOST, count_attempt
from infaug.record.folder import RunFolder


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path)


def test_workers_that_die_at_one_place_are_given_up(folder):
    for _ in range(MOST):
        count_attempt(folder)
    with pytest.raises(ValueError, match=rf"died {MOST} times since the last.*none"):
        count_attempt(folder)


def test_a_new_checkpoint_or_a_finished_cell_begins_the_count_again(folder):
    for _ in range(MOST):
        count_attempt(folder)
    training = folder.training("base", 0)
    training.checkpoints.mkdir(parents=True)
    (training.checkpoints / "000007.safetensors").touch()
    for _ in range(MOST):
        count_attempt(folder)
    training.finish({}, {"row": "base", "seed": 0})
    count_attempt(folder)


def test_a_full_disk_is_told_at_once_and_not_as_a_death_of_workers(folder):
    with full_disk(8), pytest.raises(ValueError, match=r"cannot be written.*make room"):
        count_attempt(folder)

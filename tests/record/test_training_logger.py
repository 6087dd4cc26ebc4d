"""What a logger does beside its steps."""

import itertools
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from full_disk import full_disk
from safetensors.torch import load_file

from infaug.config import RoundsConfig
from infaug.record.checkpoint import save_checkpoint
from infaug.record.display import Display
from infaug.record.folder import RunFolder
from infaug.record.training_logger import TrainingLogger
from infaug.world import World

ROUNDS = RoundsConfig(log_every_steps=2, checkpoint_every_steps=100)


class State:
    """Anything with tensors."""

    def __init__(self):
        self.x = torch.ones(1)

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"x": self.x}


@pytest.fixture
def open_logger(tmp_path):
    """A logger of the same run folder, as often as it is asked for."""

    def opened(is_leaving=None, *, shown: bool = False) -> TrainingLogger:
        display = Display(["base seed 0"], [{"classify": 10}], [1], shown=shown)
        folder = RunFolder(tmp_path).training("base", 0)
        return TrainingLogger(folder, 0, ROUNDS, World(), display, (), is_leaving)

    return opened


def follow(logger: TrainingLogger, stop: int) -> None:
    """Steps of F until it dies before its `stop`-th, or to the end at 10."""

    left = logger.left(0, "classify", 10)

    def steps() -> Iterator[dict[str, float]]:
        for step in left:
            if step == stop:
                raise KeyboardInterrupt
            yield {"loss": step}

    logger.follow(0, "classify", left, steps(), State())


def test_notice_that_a_node_leaves_is_asked_for_after_each_step_and_saves(open_logger):
    num_asked = itertools.count(1)

    def is_leaving() -> bool:
        return next(num_asked) == 4

    logger = open_logger(is_leaving)
    with pytest.raises(KeyboardInterrupt):
        follow(logger, stop=7)
    assert next(num_asked) == 8
    logger.close()
    again = open_logger().start
    assert again.position.step == 4


def test_training_goes_on_while_a_checkpoint_is_written(open_logger, monkeypatch):
    """It holds what the state was when it was due, and the next one waits for it."""
    logger, may_write, state = open_logger(), threading.Event(), State()
    logger.config = replace(ROUNDS, checkpoint_every_steps=4)

    def slowly(*arguments) -> None:
        assert may_write.wait(60)
        save_checkpoint(*arguments)

    def steps() -> Iterator[dict[str, float]]:
        for step in range(7):
            state.x.fill_(step)
            if step == 5:
                may_write.set()
            yield {"loss": step}

    monkeypatch.setattr("infaug.record.training_logger.save_checkpoint", slowly)
    logger.follow(0, "classify", range(7), steps(), state)
    logger.close()
    paths = sorted(logger.folder.checkpoints.iterdir())
    assert [load_file(path)["x"].item() for path in paths] == [3, 6]


def test_a_run_that_begins_again_says_where_and_what_it_repeats(open_logger, capsys):
    notices = iter([False, True, *[False] * 5])
    logger = open_logger(lambda: next(notices))
    with pytest.raises(KeyboardInterrupt):
        follow(logger, stop=7)
    logger.close()
    open_logger(shown=True)
    said = capsys.readouterr().err
    assert "base seed 0: goes on after classify step 2 of round 1" in said
    assert "up to classify step 6 of round 1, is repeated" in said


def test_a_full_disk_is_told_and_what_was_saved_before_continues(open_logger):
    logger = open_logger(lambda: True)
    with pytest.raises(KeyboardInterrupt):
        follow(logger, stop=5)
    with full_disk(), pytest.raises(ValueError, match=r"cannot be written.*make room"):
        follow(logger, stop=10)
    logger.close()
    again = open_logger()
    assert again.start.position.step == 5
    follow(again, stop=10)
    again.close()
    assert not list(again.folder.run.rglob("*.partial"))


def test_a_training_that_finds_the_disk_full_at_its_end_is_finished_later(open_logger):
    """All processes of a run are told, which only a ValueError does."""
    logger = open_logger()
    follow(logger, stop=10)
    weights = {"classifier": {"x": torch.zeros(100)}}
    found = {"method": "base", "seed": 0}
    with full_disk(), pytest.raises(ValueError, match=r"cannot be written.*make room"):
        logger.finish(weights, found)
    assert logger.folder.result() is None
    assert not list(logger.folder.run.rglob("*.partial"))
    logger.finish(weights, found)
    logger.close()
    assert logger.folder.result() is not None

import pytest
import torch

from infaug.record.checkpoint import KEPT, load_checkpoint, save_checkpoint
from infaug.record.steps import Position


def position(step: int) -> Position:
    return Position(round=2, phase="estimate", step=step)


def test_what_is_saved_is_what_is_loaded(tmp_path):
    tensors = {
        "a/b": torch.randn(3, 2),
        "count": torch.tensor(4),
        "d": torch.ones(1).double(),
    }
    save_checkpoint(tmp_path, position(7), 123, tensors)
    found = load_checkpoint(tmp_path)
    assert found.position == position(7)
    assert found.metrics_bytes == 123
    assert set(found.tensors) == set(tensors)
    assert all(found.tensors[k].equal(t) for k, t in tensors.items())


def test_only_the_last_ones_are_kept(tmp_path):
    for step in range(5):
        save_checkpoint(tmp_path, position(step), 0, {"a": torch.ones(1)})
    assert len(list(tmp_path.iterdir())) == KEPT
    found = load_checkpoint(tmp_path)
    assert found.position.step == 4


@pytest.mark.parametrize("damage", ["truncated", "empty", "foreign"])
def test_a_damaged_checkpoint_is_passed_over_loudly(tmp_path, damage):
    for step in range(2):
        save_checkpoint(tmp_path, position(step), 0, {"a": torch.ones(100)})
    newest = max(tmp_path.iterdir())
    content = {
        "truncated": newest.read_bytes()[:-50],
        "empty": b"",
        "foreign": b"x" * 99,
    }
    newest.write_bytes(content[damage])
    with pytest.warns(UserWarning, match="cannot be read"):
        found = load_checkpoint(tmp_path)
    assert found.position.step == 0


def test_nothing_readable_is_an_error_that_says_what_to_do(tmp_path):
    save_checkpoint(tmp_path, position(0), 0, {"a": torch.ones(1)})
    next(tmp_path.iterdir()).write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="cannot be read"),
        pytest.raises(ValueError, match="delete that folder"),
    ):
        load_checkpoint(tmp_path)


def test_a_file_left_half_written_is_not_a_checkpoint(tmp_path):
    (tmp_path / "000003.safetensors.partial").write_bytes(b"half")
    assert load_checkpoint(tmp_path) is None

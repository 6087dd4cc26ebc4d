"""Bad worlds for a set in Parquet: damaged, incomplete, or written to a full disk."""

import contextlib
import errno
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from archives import class_files, write_files
from full_disk import full_disk

from infaug.config import DataConfig, PrepareConfig
from infaug.data.prepare import prepare
from infaug.data.source import load

FILES = class_files("cat", "dog", count=20)


@pytest.fixture
def prepared(tmp_path):
    source = write_files(tmp_path / "src", FILES)
    prepare(source, tmp_path / "set", PrepareConfig(rows_per_shard=10))
    return tmp_path / "set"


def test_flipped_bytes_in_a_row_group_name_file_group_and_remedy(prepared):
    file = prepared / "train-00002.parquet"
    column = pq.read_metadata(file).row_group(0).column(0)
    content = bytearray(file.read_bytes())
    middle = column.data_page_offset + column.total_compressed_size // 2
    content[middle] ^= 0x10
    file.write_bytes(content)
    # A PNG has checksums of its own; a flipped bit of a JPEG would go unnoticed.
    with pytest.raises(
        ValueError,
        match=r"train-00002\.parquet cannot .* row group 0 .*CRC.*prepare it again",
    ):
        load(DataConfig(source=str(prepared), max_bad_images=10))


def test_any_flipped_byte_of_an_image_column_is_refused(prepared):
    file = prepared / "train-00001.parquet"
    content = file.read_bytes()
    column = pq.read_metadata(file).row_group(0).column(0)
    end = column.data_page_offset + column.total_compressed_size
    for at in range(end // 2, end, end // 20):
        changed = bytearray(content)
        changed[at] ^= 0xFF
        file.write_bytes(changed)
        with pytest.raises(ValueError, match=r"train-00001\.parquet .* row group 0"):
            load(DataConfig(source=str(prepared), max_bad_images=40))


def test_a_shard_cut_short_names_it(prepared):
    file = prepared / "train-00003.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"train-00003\.parquet cannot be read"):
        load(DataConfig(source=str(prepared)))


def test_a_missing_shard_is_named_with_the_command_that_writes_it(prepared):
    (prepared / "train-00001.parquet").unlink()
    with pytest.raises(
        ValueError,
        match=r"lacks train-00001\.parquet, in all 1 of the 4 .*data prepare .*src",
    ):
        load(DataConfig(source=str(prepared)))


def test_a_set_whose_shards_are_all_missing_is_not_taken_for_another_layout(prepared):
    for file in prepared.glob("*.parquet"):
        file.unlink()
    with pytest.raises(ValueError, match="in all 4 of the 4 files"):
        load(DataConfig(source=str(prepared)))


@pytest.mark.parametrize("text", ["{", "[]", '{"shards": 3}'])
def test_a_damaged_plan_is_named(prepared, tmp_path, text):
    (prepared / "plan.json").write_text(text)
    with pytest.raises(ValueError, match=r"plan\.json is damaged .*prepare again"):
        load(DataConfig(source=str(prepared)))
    with pytest.raises(ValueError, match=r"plan\.json is damaged"):
        prepare(tmp_path / "src", prepared, PrepareConfig(rows_per_shard=10))


@contextlib.contextmanager
def full_after(num: int):
    """A disk that is full after so many row groups."""
    left = [num]
    write = pq.ParquetWriter.write_batch

    def write_batch(self, batch, *args, **kwargs):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, batch, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pq.ParquetWriter, "write_batch", write_batch)
        yield


def test_a_full_disk_leaves_whole_shards_and_the_same_command_continues(tmp_path):
    source, out = write_files(tmp_path / "src", FILES), tmp_path / "out"
    config = PrepareConfig(rows_per_shard=10)
    with (
        full_after(2),
        pytest.raises(
            ValueError,
            match=r"train-00002\.parquet cannot .*disk is full.*free some space",
        ),
    ):
        prepare(source, out, config)
    assert {p.name for p in out.iterdir()} == {
        ".lock", "plan.json", "train-00000.parquet", "train-00001.parquet",
    }  # fmt: skip
    assert prepare(source, out, config).images == {"train": 40}


def test_a_file_that_the_system_refuses_to_write_is_named(tmp_path):
    source, out = write_files(tmp_path / "src", FILES), tmp_path / "out"
    with (
        full_disk(4096),
        pytest.raises(ValueError, match=r"00000\.parquet cannot .*rerun"),
    ):
        prepare(source, out, PrepareConfig(rows_per_shard=20))
    assert {p.name for p in out.iterdir()} == {".lock", "plan.json"}


def test_a_disk_too_full_for_the_plan_leaves_nothing(tmp_path, monkeypatch):
    source, out = write_files(tmp_path / "src", FILES), tmp_path / "out"

    def write_half(self, text):
        self.write_bytes(text[: len(text) // 2].encode())
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", write_half)
    with pytest.raises(ValueError, match=r"plan\.json cannot be .*disk is full"):
        prepare(source, out, PrepareConfig())
    assert [p.name for p in out.iterdir()] == [".lock"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    source = write_files(tmp_path / "src", FILES)
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="file is a file: give a new"):
        prepare(source, tmp_path / "file", PrepareConfig())
    with pytest.raises(ValueError, match=r"cannot be written .*another folder"):
        prepare(source, tmp_path / "file" / "below", PrepareConfig())

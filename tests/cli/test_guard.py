"""What becomes of errors of the disk: one line that names the file, and a way."""

import os

import pyarrow as pa
from full_disk import full_disk

from infaug.cli.terminal import BAD_INPUT, guarded
from infaug.trust.rank import write_ranking


def test_a_file_that_cannot_be_written_is_named_with_a_remedy(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert guarded(lambda: (tmp_path / "file" / "out").mkdir() or 0) == BAD_INPUT
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "file/out cannot be read or written (Not a directory)" in said
    assert "choose another place" in said


def test_a_full_disk_is_no_fault_of_infaug(tmp_path, capsys):
    def write() -> int:
        with full_disk(10):
            return (tmp_path / "a").write_text("x" * 100)

    assert guarded(write) == BAD_INPUT
    assert "cannot be written (File too large): make room" in capsys.readouterr().err


def test_verbose_shows_where_the_disk_was_asked(tmp_path, capsys):
    assert guarded(lambda: os.rmdir(tmp_path / "a") or 0, verbose=True) == BAD_INPUT
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.splitlines()[-1].startswith("infaug: ")


def test_a_ranking_is_refused_by_a_name_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "influence.parquet"
    table = pa.table({"image": [1]})
    assert guarded(lambda: write_ranking(table, path) or 0) == BAD_INPUT
    assert f"{path}" in capsys.readouterr().err

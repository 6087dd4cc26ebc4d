"""Files of lines stay files of lines, whatever cut the last one short."""

import pytest
from full_disk import full_disk

from infaug.record.journal import AppendFile, Journal, append_line, as_line, read_lines


def test_half_a_line_that_a_full_disk_left_is_dropped_by_the_next_start(tmp_path):
    path, line = tmp_path / "timings.jsonl", as_line({"seconds": 2.5})
    first = AppendFile.lines(path)
    first.append(line)
    with full_disk(len(line) + 9):
        first.append(line)
        with pytest.raises(OSError, match="large"):
            first.flush()
    first.close()
    assert path.stat().st_size == len(line) + 9
    again = AppendFile.lines(path)
    again.append(line)
    again.close()
    assert read_lines(path) == [{"seconds": 2.5}] * 2


def test_what_did_not_fit_is_written_later_where_it_belongs(tmp_path):
    path, lines = tmp_path / "metrics.jsonl", [{"step": k} for k in range(3)]
    file = AppendFile.lines(path)
    with full_disk(9):
        for line in lines:
            file.append(as_line(line))
    assert file.flush() == sum(len(as_line(line)) for line in lines)
    file.close()
    assert read_lines(path) == lines


def test_a_journal_opens_behind_the_last_whole_line(tmp_path):
    for name in ("metrics.jsonl", "starts.jsonl"):
        (tmp_path / name).write_bytes(b'{"step": 1}\n{"st')
    journal = Journal(tmp_path)
    journal.metrics({"step": 2})
    journal.start({"workers": 1})
    journal.close()
    assert read_lines(tmp_path / "metrics.jsonl") == [{"step": 1}, {"step": 2}]
    assert read_lines(tmp_path / "starts.jsonl") == [{"step": 1}, {"workers": 1}]
    append_line(tmp_path / "new" / "sweep.jsonl", {"trial": 1})
    assert read_lines(tmp_path / "new" / "sweep.jsonl") == [{"trial": 1}]

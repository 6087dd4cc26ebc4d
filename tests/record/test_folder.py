import os
import subprocess
import sys

import pytest
from full_disk import full_disk

from infaug.config import DataConfig, RunConfig
from infaug.record.folder import RunFolder
from infaug.record.journal import Journal, read_lines


def test_a_new_folder_is_made_and_the_same_run_may_enter_again(tmp_path):
    folder = RunFolder(tmp_path / "a" / "b")
    folder.enter(RunConfig())
    folder.enter(RunConfig())
    assert folder.config("asked.json") == RunConfig()


def test_other_settings_are_refused_by_name(tmp_path):
    folder = RunFolder(tmp_path)
    folder.enter(RunConfig())
    folder.resolve(RunConfig())
    with pytest.raises(ValueError, match=r"data\.target: None -> 300.*another --out"):
        folder.enter(RunConfig(data=DataConfig(target=300)))


def test_more_seeds_are_welcome_and_fewer_are_not(tmp_path):
    folder, grown = RunFolder(tmp_path), RunConfig(seeds=5)
    folder.enter(RunConfig(seeds=3))
    folder.resolve(RunConfig(seeds=3))
    folder.finish({"verdict": "undecided"})
    (tmp_path / "report.html").write_text("of three")
    folder.enter(grown)
    assert folder.result_of(RunConfig(seeds=3)) == {"verdict": "undecided"}
    assert folder.result_of(grown) is None
    # Until all that may refuse the run has been requested, nothing is lost.
    assert folder.result() is not None
    folder.enter(RunConfig(seeds=3))
    folder.resolve(grown)
    assert folder.result() is None
    assert not (tmp_path / "report.html").exists()
    assert folder.seen_with() == [3]
    assert folder.config() == folder.config("asked.json") == grown
    with pytest.raises(ValueError, match="seeds: 5 -> 3"):
        folder.enter(RunConfig(seeds=3))
    with pytest.raises(ValueError, match=r"data\.target: None -> 300; seeds: 5 -> 6"):
        folder.enter(RunConfig(data=DataConfig(target=300), seeds=6))


def test_a_run_that_ended_before_it_trained_gives_way_to_other_settings(tmp_path):
    """As when a broken image was found, and the remedy is a setting."""
    folder, changed = RunFolder(tmp_path), RunConfig(data=DataConfig(max_bad_images=1))
    folder.enter(RunConfig())
    folder.match_data({"classes": ["a", "b"]})
    with folder.locked(), pytest.raises(ValueError, match="max_bad_images: 0 -> 1"):
        RunFolder(tmp_path).enter(changed)
    folder.enter(changed)
    folder.match_data({"classes": ["a", "b", "c"]})
    assert folder.config("asked.json") == changed
    folder.resolve(changed)
    with pytest.raises(ValueError, match="run on other images"):
        folder.match_data({"classes": ["a", "b"]})


def test_a_foreign_folder_is_refused_and_left_as_it_was(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ValueError, match=r"thesis\.tex.*nothing was touched"):
        RunFolder(tmp_path).enter(RunConfig())
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_lock_that_another_command_holds_stays(tmp_path):
    for name in ("sweep.json", "lock"):
        (tmp_path / name).write_text("of a sweep")
    with pytest.raises(ValueError, match=r"sweep\.json.*nothing was touched"):
        RunFolder(tmp_path).enter(RunConfig())
    assert (tmp_path / "lock").read_text() == "of a sweep"


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="cannot be written"):
        RunFolder(tmp_path / "file").enter(RunConfig())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ValueError, match="cannot be written"):
        RunFolder(tmp_path / "run").enter(RunConfig())


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: folder.resolve(RunConfig()),
        lambda folder: folder.match_data({"classes": ["a", "b"]}),
        lambda folder: folder.keep_lines("unreadable.txt", ["a.png"] * 9),
        lambda folder: folder.finish({"verdict": "undecided"}),
    ],
    ids=["resolve", "match_data", "lines", "finish"],
)
def test_a_full_disk_is_told_whatever_is_written(write, tmp_path):
    folder = RunFolder(tmp_path)
    folder.enter(RunConfig())
    with full_disk(8), pytest.raises(ValueError, match=r"cannot be written.*make room"):
        write(folder)
    write(folder)


def test_two_processes_cannot_run_in_one_folder(tmp_path):
    folder = RunFolder(tmp_path)
    folder.enter(RunConfig())
    program = (
        "import sys; from pathlib import Path\n"
        "from infaug.record.folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).locked(): pass"
    )
    with folder.locked():
        other = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert "another process is running" in other.stderr


def test_a_damaged_config_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json is no config"):
        RunFolder(tmp_path).config()


def test_a_run_that_says_row_for_method_is_answered_with_what_to_do(tmp_path):
    folder = RunFolder(tmp_path)
    folder.enter(RunConfig())
    training = folder.training("base", 0).path
    training.mkdir(parents=True)
    (training / "starts.jsonl").write_text('{"row": "base", "seed": 0}\n')
    with pytest.raises(ValueError, match=r"another version.*train again with a new"):
        folder.config("asked.json")


def test_metrics_are_cut_back_to_a_checkpoint_and_grow_again(tmp_path):
    journal = Journal(tmp_path)
    journal.metrics({"step": 1})
    length = journal.flush()
    journal.metrics({"step": 2})
    journal.close()
    journal = Journal(tmp_path)
    journal.cut(length)
    journal.metrics({"step": 3})
    journal.close()
    assert read_lines(tmp_path / "metrics.jsonl") == [{"step": 1}, {"step": 3}]

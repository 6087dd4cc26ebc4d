"""A run kept at a URL: what is there can always be continued, by anyone, anywhere."""

import shutil
from pathlib import Path

import fsspec
import pytest
from full_disk import full_disk
from killed import contents, different, interrupt, interrupted_at
from tiny import tiny

from infaug.config import RunConfig
from infaug.experiment.run import run
from infaug.record import lease, mirror
from infaug.record.folder import RunFolder, local_copy
from infaug.record.lease import HeldError

CONFIG = tiny(methods=("base_learned",))


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """A cache folder of its own, and no waiting."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(lease, "SETTLE_S", 0.0)
    monkeypatch.setattr(mirror, "WAITS_S", (0.0,))


@pytest.fixture
def url():
    yield "memory://runs/one"
    store = fsspec.filesystem("memory")
    if store.exists("/runs"):
        store.rm("/runs", recursive=True)


def another_machine(tmp_path) -> None:
    shutil.rmtree(tmp_path / "cache")


def at_url(url) -> dict[str, bytes]:
    store, path = fsspec.core.url_to_fs(url)
    return {n.removeprefix(path + "/"): store.cat(n) for n in store.find(path)}


def test_a_run_that_goes_on_on_another_machine_ends_with_the_undisturbed_bytes(
    tmp_path, url
):
    run(CONFIG, tmp_path / "undisturbed", shown=False)
    for doom in ((0, "classify", 5), (0, "estimate", 4), (1, "classify", 4)):
        with interrupted_at("base_learned", *doom):
            run(CONFIG, url, shown=False)
        another_machine(tmp_path)
    run(CONFIG, url, shown=False)
    assert different(tmp_path / "undisturbed", RunFolder(url).path) == []
    calm, kept = contents(tmp_path / "undisturbed"), at_url(url)
    assert set(calm) | {
        "mirror.json",
        "trainings/base_learned-seed0/timings.jsonl",
    } <= set(kept)
    assert not [n for n in calm if n != "result.json" and kept[n] != calm[n]]


def begun(url) -> RunFolder:
    folder = RunFolder(url)
    folder.enter(RunConfig())
    return folder


def begun_elsewhere(tmp_path, url) -> RunFolder:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
        return begun(url)


def test_files_are_there_before_what_refers_to_them(url, monkeypatch):
    folder = begun(url)
    names = ["result.json", "trainings/b/checkpoints/1", "trainings/a/result.json",
             "trainings/a/f.safetensors", "trainings/b/metrics.jsonl"]  # fmt: skip
    for name in names:
        (folder.path / name).parent.mkdir(parents=True, exist_ok=True)
        (folder.path / name).write_text(name)
    order = []
    monkeypatch.setattr(mirror, "put", lambda file, place: order.append(str(place)))
    folder.mirror.push()
    assert [n.removeprefix(url + "/") for n in order] == [
        "asked.json", "trainings/a/f.safetensors", "trainings/b/metrics.jsonl",
        "trainings/a/result.json", "trainings/b/checkpoints/1", "result.json",
    ]  # fmt: skip


def test_only_what_changed_is_uploaded_and_what_is_gone_is_removed(url, monkeypatch):
    folder = begun(url)
    for name in ("a", "b"):
        (folder.path / name).write_text(name)
    folder.mirror.push()
    (folder.path / "a").write_text("longer")
    (folder.path / "b").unlink()
    uploaded = []
    put = mirror.put
    monkeypatch.setattr(
        mirror, "put", lambda *put_: (uploaded.append(put_[0].name), put(*put_))
    )
    folder.mirror.push()
    assert uploaded == ["a"]
    assert set(at_url(url)) == {"asked.json", "a", "mirror.json"}


def test_an_upload_that_fails_loses_nothing_and_the_same_command_makes_up_for_it(
    url, monkeypatch
):
    folder = begun(url)
    folder.mirror.push()
    (folder.path / "a").write_text("a")

    def away(file, place):
        raise ValueError(f"{place} cannot be reached")

    with monkeypatch.context() as patch:
        patch.setattr(mirror, "put", away)
        with pytest.raises(
            ValueError, match=r"memory://runs/one/a cannot.*holds all.*same command"
        ):
            folder.mirror.push()
    again = begun(url)
    assert (again.path / "a").read_text() == "a"
    again.mirror.push()
    assert at_url(url)["a"] == b"a"


def test_an_upload_that_failed_once_is_tried_again(url, monkeypatch):
    folder, put, calls = begun(url), mirror.put, []

    def away_once(file: Path, place):
        calls.append(place)
        if len(calls) == 1:
            raise ValueError("away")
        put(file, place)

    monkeypatch.setattr(mirror, "put", away_once)
    folder.mirror.push()
    assert "asked.json" in at_url(url)


def test_a_folder_that_another_machine_left_behind_is_brought_up_to_date(tmp_path, url):
    begun(url).mirror.push()
    other = begun_elsewhere(tmp_path, url)
    (other.path / "a").write_text("from afar")
    (other.path / "ray").mkdir()
    other.mirror.push()
    with local_copy(url) as here:
        assert (here / "a").read_text() == "from afar"
        assert not (here / "ray").exists()


def test_a_run_whose_first_upload_was_cut_short_is_continued_elsewhere(
    tmp_path, url, monkeypatch
):
    folder = begun(url)
    with monkeypatch.context() as patch:
        patch.setattr(mirror, "put_bytes", interrupt)
        with pytest.raises(KeyboardInterrupt):
            folder.mirror.push()
    another_machine(tmp_path)
    again = begun(url)
    assert again.config("asked.json") == RunConfig()


def test_a_place_with_something_else_is_refused_and_left_as_it_was(url):
    fsspec.filesystem("memory").pipe("/runs/one/thesis.tex", b"x")
    with pytest.raises(ValueError, match=r"thesis\.tex.*nothing was touched"):
        begun(url)
    assert at_url(url) == {"thesis.tex": b"x"}


def test_other_settings_are_refused_with_the_url(url):
    folder = begun(url)
    folder.resolve(folder.config("asked.json"))
    folder.mirror.push()
    with pytest.raises(ValueError, match=r"memory://runs/one holds a run with other"):
        RunFolder(url).enter(RunConfig(seeds=2))


def test_a_result_leaves_the_url_before_the_seeds_that_were_added_come(
    url, monkeypatch
):
    folder = begun(url)
    folder.resolve(folder.config("asked.json"))
    folder.finish({"verdict": "undecided"})
    assert "result.json" in at_url(url)
    folder.resolve(RunConfig(seeds=5))
    monkeypatch.setattr(mirror, "put", interrupt)
    with pytest.raises(KeyboardInterrupt):
        folder.mirror.push()
    assert "result.json" not in at_url(url)


def test_two_runs_of_one_machine_are_refused_at_a_url(url):
    folder = begun(url)
    with (
        folder.locked(),
        pytest.raises(ValueError, match="another process is running in memory://"),
    ):
        begun(url)


def test_a_machine_that_slept_while_another_finished_the_run_uploads_no_more(
    tmp_path, url, monkeypatch
):
    monkeypatch.setattr(lease, "DEAD_AFTER_S", 0.0)
    here = begun(url)
    with here.locked():
        here.mirror.push()
        elsewhere = begun_elsewhere(tmp_path, url)
        with pytest.warns(UserWarning, match="still runs"), elsewhere.locked():
            elsewhere.finish({})
        left = at_url(url)
        (here.path / "metrics.jsonl").write_text("older")
        with pytest.raises(HeldError, match="has run in memory://runs/one"):
            here.mirror.push()
    assert at_url(url) == left
    assert begun(url).result() == {}


def test_who_waited_while_another_went_on_does_not_begin_from_an_older_state(
    tmp_path, url
):
    begun(url).mirror.push()
    waiting = begun_elsewhere(tmp_path, url)
    ahead = begun(url)
    with ahead.locked():
        (ahead.path / "a").write_text("newer")
        ahead.mirror.push()
    with (
        pytest.raises(
            ValueError, match=r"has just gone on.*the same command continues"
        ),
        waiting.locked(),
    ):
        pass
    assert "lease.json" not in at_url(url)
    again = begun_elsewhere(tmp_path, url)
    with again.locked():
        assert (again.path / "a").read_text() == "newer"


def test_what_an_upload_that_was_cut_short_left_is_brought_before_going_on(
    tmp_path, url, monkeypatch
):
    """Else its checkpoints would lie beside metrics that do not reach so far."""
    begun(url).mirror.push()
    waiting = begun_elsewhere(tmp_path, url)
    ahead = begun(url)
    (ahead.path / "checkpoints").mkdir()
    (ahead.path / "checkpoints" / "9.safetensors").write_text("newer")
    with monkeypatch.context() as patch:
        patch.setattr(mirror, "put_bytes", interrupt)
        with pytest.raises(KeyboardInterrupt):
            ahead.mirror.push()
    with pytest.raises(ValueError, match="has just gone on"), waiting.locked():
        pass
    again = begun_elsewhere(tmp_path, url)
    with again.locked():
        assert (again.path / "checkpoints" / "9.safetensors").exists()


def test_who_adds_a_picture_to_a_run_that_goes_on_keeps_no_older_state_of_it(
    tmp_path, url
):
    begun(url).mirror.push()
    elsewhere = begun_elsewhere(tmp_path, url)
    with local_copy(url) as here:
        (here / "views.png").write_text("drawn")
        (elsewhere.path / "a").write_text("newer")
        elsewhere.mirror.push()
    assert set(at_url(url)) == {"asked.json", "a", "views.png", "mirror.json"}
    assert (begun(url).path / "a").read_text() == "newer"


def test_a_cache_that_cannot_be_written_is_refused_by_name(tmp_path, url, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ValueError, match=r"file/infaug/runs.*set XDG_CACHE_HOME"):
        begun(url)


def test_a_disk_that_fills_up_before_an_upload_is_told(url):
    folder = begun(url)
    (folder.path / "a").write_text("a")
    with full_disk(8), pytest.raises(ValueError, match=r"cannot be written.*make room"):
        folder.mirror.push()
    folder.mirror.push()
    assert at_url(url)["a"] == b"a"


def test_a_run_whose_storage_is_away_is_refused_within_seconds(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "for-tests")
    away = "s3://bucket/run?endpoint_override=127.0.0.1:1&scheme=http"
    with pytest.raises(ValueError, match=r"s3://bucket/run.* cannot be reached"):
        begun(away)

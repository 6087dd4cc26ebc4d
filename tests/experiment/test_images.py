"""Which images results are about, and that a run keeps its own."""

from dataclasses import replace
from pathlib import Path

import pytest
from archives import class_files, write_files
from killed import interrupt
from tiny import CONFIG, tiny

from infaug.config import DataConfig, PrepareConfig, RunConfig
from infaug.data.on_disk import OnDisk
from infaug.data.prepare import prepare
from infaug.experiment import execute
from infaug.experiment import run as run_file
from infaug.experiment.table_plan import Results, table_training
from infaug.experiment.table_training import images_of

ONE, OTHER = {"train checksum": "1a"}, {"train checksum": "2b"}
DATA = replace(CONFIG.data, image_size=16, mode="L")


def finish_a_training(results: Results, **more) -> None:
    training = table_training("base", 0, replace(CONFIG, data=DATA))
    results.add({"method": "base", "seed": 0, "config": training.settings, **more})


def test_images_with_results_stay_and_others_are_refused(tmp_path):
    results = Results(tmp_path / "deep" / "board.jsonl")
    finish_a_training(results)  # from before this was kept
    results.match(DATA, OTHER)
    finish_a_training(results, data=ONE)
    results.match(DATA, ONE)
    # Images read with other settings or of another name are others.
    for data in (replace(DATA, image_size=24), replace(DATA, source="more")):
        results.match(data, OTHER)
    shared = replace(DATA, target=100, seed=1, drop_duplicates=True)
    for data in (DATA, shared):
        with pytest.raises(ValueError, match=r"board.jsonl.*'digits'.*another --out"):
            Results(results.path).match(data, OTHER)


FILES = class_files("cat", "dog", count=12)


def test_images_that_are_to_be_streamed_are(tmp_path):
    make_set(tmp_path, FILES)
    pets = {"pets": str(tmp_path / "set")}
    small = DataConfig(source="pets", image_size=8)
    assert not isinstance(images_of(small, pets)[0].train, OnDisk)
    streamed = replace(small, stream_above_gib=0.0)
    assert isinstance(images_of(streamed, pets)[0].train, OnDisk)


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """A run on a prepared set that is interrupted before its first step."""
    make_set(tmp_path, FILES)
    with monkeypatch.context() as patch:
        patch.setattr(execute, "run_planned", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_file.run(config(tmp_path), tmp_path / "run", shown=False)
    return tmp_path


def make_set(root: Path, files: dict[str, bytes]) -> None:
    """The prepared set, in place of one that may be there."""
    number = len(list(root.glob("src*")))
    if (root / "set").exists():
        (root / "set").rename(root / f"old{number}")
    prepare(write_files(root / f"src{number}", files), root / "set", PrepareConfig())


def config(root: Path) -> RunConfig:
    data = DataConfig(source=str(root / "set"), target=8, test=4, image_size=8, folds=0)
    return tiny(data=data, controls="none")


SWAPPED = {"cat/0.png": FILES["dog/0.png"], "dog/0.png": FILES["cat/0.png"]}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            FILES | class_files("eel", count=12),
            r"classes: \['cat', 'dog'\] -> \['cat', 'dog', 'eel'\]",
        ),
        (FILES | class_files("cat", count=13), "images: 24 -> 25"),
        (FILES | SWAPPED, "train checksum"),
    ],
)
def test_a_run_on_other_images_is_refused_with_what_changed(begun, files, message):
    make_set(begun, files)
    before = {p: p.read_bytes() for p in (begun / "run").rglob("*") if p.is_file()}
    with pytest.raises(ValueError, match=f"a run on other images .*{message}.*--out"):
        run_file.run(config(begun), begun / "run", shown=False)
    assert before == {p: p.read_bytes() for p in before}


def test_with_the_images_it_began_with_it_goes_on(begun, monkeypatch):
    make_set(begun, FILES)
    seen = []
    monkeypatch.setattr(
        execute, "run_planned", lambda trainings, *_, **__: seen.extend(trainings)
    )
    monkeypatch.setattr(run_file, "summarise", lambda *_: {})
    run_file.run(config(begun), begun / "run", shown=False)
    assert seen

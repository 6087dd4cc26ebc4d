"""A run is not continued on other images than it began with."""

from pathlib import Path

import pytest
from archives import class_files, write_files
from tiny import tiny

from infaug.config import DataConfig, PrepareConfig, RunConfig
from infaug.data.prepare import prepare
from infaug.experiment import run as run_file

FILES = class_files("cat", "dog", count=12)


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """A run on a prepared set that is interrupted before its first step."""

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    make_set(tmp_path, FILES)
    with monkeypatch.context() as patch:
        patch.setattr(run_file, "run_planned", interrupted)
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
    data = DataConfig(source=str(root / "set"), target=8, test=4, image_size=8)
    return tiny(data=data, controls="none")


def changed() -> dict[str, tuple[dict[str, bytes], str]]:
    swapped = FILES | {
        "cat/0.png": FILES["dog/0.png"],
        "dog/0.png": FILES["cat/0.png"],
    }
    renamed = {name.replace("dog", "emu"): content for name, content in FILES.items()}
    return {
        "a class more": (
            FILES | class_files("eel", count=12),
            r"classes: \['cat', 'dog'\] -> \['cat', 'dog', 'eel'\]",
        ),
        "other names": (renamed, r"-> \['cat', 'emu'\]"),
        "an image more": (FILES | class_files("cat", count=13), "images: 24 -> 25"),
        "two labels swapped": (swapped, "train checksum"),
    }


@pytest.mark.parametrize("case", changed())
def test_a_run_on_other_images_is_refused_with_what_changed(begun, case):
    files, message = changed()[case]
    make_set(begun, files)
    before = {p: p.read_bytes() for p in (begun / "run").rglob("*") if p.is_file()}
    with pytest.raises(ValueError, match=f"a run on other images .*{message}.*--out"):
        run_file.run(config(begun), begun / "run", shown=False)
    assert before == {p: p.read_bytes() for p in before}


def test_with_the_images_it_began_with_it_goes_on(begun, monkeypatch):
    make_set(begun, FILES | class_files("eel", count=12))
    make_set(begun, FILES)
    seen = []
    monkeypatch.setattr(
        run_file, "run_planned", lambda cells, *_, **__: seen.extend(cells)
    )
    monkeypatch.setattr(run_file, "summarise", lambda *_: {})
    run_file.run(config(begun), begun / "run", shown=False)
    assert seen

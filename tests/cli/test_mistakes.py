"""Common mistakes for each command: one line that names what is wrong, and a way.

The flag or file at fault is named, and what to do instead.
"""

import json
from pathlib import Path

import pytest
from finished import finished_run
from PIL import Image

from infaug.cli.main import main
from infaug.cli.terminal import BAD_INPUT

# {run} a finished run, {pictures} images, {broken} a broken one, {empty} an empty
# folder, {text} a folder with a note in it, {new} a place where nothing is.
MISTAKES = {
    "fit": [
        ("fit", ["--data is required"]),
        ("fit --data {new}", ["{new}", "was not found"]),
        ("fit --data {empty} --out {new}", ["{empty}", "give name.parquet"]),
        ("fit --data digits --out {text}", ["note.txt", "choose an empty or new"]),
        ("fit --data digits --methods bast --out {new}", ["'bast'", "choose among"]),
        ("fit --data digits --workers two", ["--workers", "two", "MIN..MAX"]),
        ("fit --data digits --workers 0..4", ["--workers", "0..4", "1 <= MIN"]),
        ("fit --data digits --damping 0.1", ["damping", "--influence.damping"]),
        ("fit --data digits --influence.damping=0", ["influence.damping must be > 0"]),
        ("fit --data digits --influence.damping=nought", ["--influence.damping"]),
        ("fit --config {new}", ["--config {new}", "No such file"]),
    ],
    "predict": [
        ("predict {new} {pictures}", ["{new}", "--out of an `infaug fit`"]),
        ("predict {run} {new}", ["{new} was not found", "give image files"]),
        ("predict {run} {text}", ["{text} holds no image", ".parquet"]),
        ("predict {run} {pictures} --out p.txt", ["--out p.txt", ".csv"]),
        ("predict {run} {pictures} --method bast", ["--method bast", "choose among"]),
        ("predict {run} {pictures} --seed 7 --out -", ["--seed 7", "it has 0, 1"]),
        ("predict {run}", ["no image is named", "Parquet"]),
        ("predict {run} {broken} --out -", ["none of 1 image could be read"]),
    ],
    "export": [
        ("export {new} --out {empty}", ["{new}", "give the --out of an `infaug fit`"]),
        ("export {run}", ["--out"]),
        ("export {run} --out {text}", ["note.txt", "choose"]),
        ("export {run} --out {new} --method base", ["--method base", "learned"]),
        ("export {run} --out {new} --seed 9", ["--seed 9", "it has 0, 1"]),
        ("export {run} --out s3://bucket/x", ["s3:/bucket/x", "takes no URL for out"]),
        ("export {run} --out {new} --formats onx", ["--formats", "onnx"]),
    ],
    "preview": [
        ("preview {new} {pictures}", ["{new} was not found", "infaug fit"]),
        ("preview {text} {pictures}", ["{text}", "infaug export"]),
        ("preview {run} {new}", ["{new} was not found", "give image files"]),
        ("preview {run} {text}", ["{text}", "no image"]),
        ("preview {run} {pictures} --num 0", ["--num must be >= 1"]),
        (
            "preview {run} {pictures} --out {text}/a/b.png",
            ["--out", "cannot be written"],
        ),
        ("preview {run}", ["no image is named", "a folder"]),
    ],
    "report": [
        ("report {new}", ["{new} was not found", "--out of an `infaug fit`"]),
        ("report {run} {text}", ["{text}", "is no experiment of infaug"]),
        ("report {run} --out {text}/a/b.html", ["a/b.html", "choose another --out"]),
        ("report", ["name a run", "infaug report RUN"]),
        ("report {run} --ou x", ["--ou", "--out"]),
    ],
    "influence validate": [
        ("influence validate {new}", ["{new}", "give the --out of an `infaug fit`"]),
        ("influence validate {run} --method bast", ["method bast", "it has"]),
        ("influence validate {run} --seed 5", ["seed 5", "it has"]),
        ("influence validate {run} --samples many", ["--samples", "many"]),
        ("influence validate", ["Run folder", "--help"]),
    ],
    "influence rank": [
        ("influence rank {new}", ["{new}", "give the --out of an `infaug fit`"]),
        ("influence rank {run} --method oracle", ["method oracle", "it has"]),
        ("influence rank {run} --draws 0", ["--draws", ">= 1"]),
        ("influence rank {run} --top -1", ["--top", ">= 1"]),
        ("influence rank {run} --tops 3", ["--tops", "--top"]),
    ],
    "data prepare": [
        ("data prepare {new} {empty}", ["{new}"]),
        ("data prepare {text} {new}", ["{text}", "class"]),
        ("data prepare {pictures}", ["Folder for the Parquet", "--help"]),
        ("data prepare {pictures} {text}", ["{text}", "note.txt"]),
        ("data prepare mnist {new} --shorter-side 20", ["mnist", "leave out"]),
        ("data prepare {pictures} {new} --shorter-side 0", ["shorter_side must be >="]),
        ("data prepare {pictures} {new} --rows-per-shard -1", ["rows_per_shard must"]),
        ("data prepare {pictures} {new} --max-bad-images 1.5", ["max_bad_images must"]),
        ("data prepare {pictures} {new} --workers -1", ["--workers must be >= 0"]),
    ],
    "cluster check": [
        ("cluster check {new}", ["{new}", "give a YAML file"]),
        ("cluster check {text}/note.txt", ["note.txt"]),
        ("cluster check {empty}", ["{empty}", "give a YAML file"]),
        ("cluster check", ["The YAML file", "--help"]),
        ("cluster check x.yaml --gpu 1", ["--gpu", "--gpus-per-worker"]),
    ],
    "doctor": [
        ("doctor --wait-s 0", ["--wait-s must be > 0"]),
        ("doctor --wait-s soon", ["--wait-s", "soon"]),
        ("doctor --jsn", ["--jsn", "--json"]),
        ("doctor {run}", ["{run}"]),
        ("docter", ["'docter'", "did you mean doctor?"]),
    ],
}
ALL = [(line, named) for mistakes in MISTAKES.values() for line, named in mistakes]


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("mistakes")
    finished_run(root / "run")
    for name in ("pictures/cat", "pictures/dog", "broken", "empty", "text"):
        (root / name).mkdir(parents=True)
    for name in ("cat", "dog"):
        Image.new("L", (16, 16), 99).save(root / "pictures" / name / "a.png")
    (root / "broken" / "b.png").write_bytes(b"no image")
    (root / "text" / "note.txt").write_text("mine")
    names = ("run", "pictures", "broken", "empty", "text")
    return {name: root / name for name in names}


def held(places: dict[str, Path]) -> list[Path]:
    """All that lies in the places, but for locks."""
    files = places["run"].parent.rglob("*")
    return sorted(file for file in files if file.name != "lock")


def words(line: str, places: dict[str, Path]) -> list[str]:
    return [word.format(**places) for word in line.split()]


@pytest.mark.parametrize(("line", "named"), ALL, ids=[line for line, _ in ALL])
def test_a_mistake_is_named_with_a_remedy_and_touches_nothing(
    line, named, places, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    before = held(places)
    places = places | {"new": tmp_path / "new"}
    try:
        code = main(words(line, places))
    except SystemExit as stop:  # tyro's word for a command line it cannot parse
        code = stop.code
    captured = capsys.readouterr()
    said = " ".join((captured.err + captured.out).replace("│", " ").split())
    assert code == BAD_INPUT, said
    assert "Traceback" not in said
    for each in named:
        assert each.format(**places) in said, said
    assert held(places) == before


def test_verbose_shows_where_an_error_comes_from(tmp_path, capsys):
    missing = str(tmp_path / "nowhere")
    assert main(["predict", missing, missing, "--verbose"]) == BAD_INPUT
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.splitlines()[-1].startswith("infaug: ")


@pytest.mark.parametrize(
    "line", ["export {run} --out {new} --formats safetensors --json",
             "preview {run} {pictures} --out p.png --num 1 --views 1 --json"],
)  # fmt: skip
def test_a_result_for_machines_is_one_json_object(
    line, places, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(words(line, places | {"new": tmp_path / "new"})) == 0
    assert "out" in json.loads(capsys.readouterr().out)

"""`infaug compare` as a user gives it."""

import json

import pytest
from archives import class_files, encoded, write_files

from infaug.cli.main import main
from infaug.cli.places import located, places_of
from infaug.cli.terminal import BAD_INPUT
from infaug.config import DataConfig
from infaug.record.journal import read_lines

TINY = [
    *("--labels", "60", "--target", "60", "--rotate", "40", "--seeds", "1"),
    *("--classifier.batch-size", "8", "--classifier.batch-groups", "2"),
    *("--rounds.rounds", "1", "--rounds.classifier-steps", "3"),
]

# Of two dozen images.
FEW = ["--target", "8", "--data.test", "4", *TINY[6:]]


def test_two_data_sets_are_compared_continued_and_rendered(tmp_path, capsys):
    out = tmp_path / "board"
    command = ["compare", "--data", "digits", "more=digits", "--out", str(out), *TINY]
    assert main([*command, "--methods", "none"]) == 0
    assert "0 done, 2 to do" in capsys.readouterr().err

    assert main([*command, "--methods", "none", "base", "--render"]) == 0
    text = capsys.readouterr().out
    assert text.count("| `base` | not run |") == 2
    assert text.count("Not run, or not for all seeds: `--methods base`.") == 2
    again = next(line for line in text.splitlines() if line.startswith("infaug"))
    assert again.startswith("infaug compare --data digits more=digits --out")
    assert "--render" not in again

    assert main([*command, "--methods", "none", "--json"]) == 0
    printed = capsys.readouterr()
    rows = json.loads(printed.out)
    assert [(row["problem"], row["method"]) for row in rows] == [
        ("digits", "none"),
        ("more", "none"),
    ]
    assert all(row["images"] == 24 for row in rows)
    assert len((out / "results.jsonl").read_text().splitlines()) == 2
    for kind in ("md", "csv", "parquet", "png"):
        assert (out / f"leaderboard.{kind}").exists()


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ([], "--data is required"),
        (["--data", "digits", "--methods", "magic"], "there is no method 'magic'"),
        (["--data", "a/x", "b/x"], "two sources are called 'x'"),
        (["--data", "/"], "--data / has no name"),
        (["--data", "digits", "--target", "gone/"], "gone/ was not found"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(flags, why, tmp_path, capsys):
    assert main(["compare", "--out", str(tmp_path / "b"), *flags]) == BAD_INPUT
    assert why in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_data_are_called_as_they_are_named_or_by_their_folder(tmp_path, monkeypatch):
    (tmp_path / "pets" / "cats").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "pets")
    here = str(tmp_path / "pets")
    url = "s3://b/set?endpoint_override=h:9000&scheme=http"
    assert places_of(["."]) == {"pets": here}
    assert places_of(["cats/.."]) == {"pets": f"{here}/cats/.."}
    assert places_of([url]) == {"set": url}
    assert places_of([f"mine={url}"]) == {"mine": url}
    assert places_of(["cats/lr=3"]) == {"lr=3": f"{here}/cats/lr=3"}
    assert places_of(["lr=cats"]) == {"lr": f"{here}/cats"}


def test_images_and_those_of_the_target_are_found_from_any_folder(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    data = located(DataConfig(source="pets", target_source="new/few.csv", labels=9))
    assert data == DataConfig(
        source=str(tmp_path / "pets"),
        target_source=str(tmp_path / "new/few.csv"),
        labels=9,
    )
    assert located(DataConfig()) == DataConfig()
    far = DataConfig(source="s3://b/set", target_source="digits")
    assert located(far) == far


def test_results_of_other_images_are_not_passed_off_as_these(tmp_path, capsys):
    out = tmp_path / "board"
    flags = ["--out", str(out), "--methods", "none", "--data.image-size", "8", *FEW]

    def compared(data: str) -> tuple[int, str]:
        code = main(["compare", "--data", data, *flags])
        return code, capsys.readouterr().err

    one, two = tmp_path / "v1" / "pets", tmp_path / "v2" / "pets"
    write_files(one, class_files("cat", "dog", count=12))
    write_files(two, class_files("cat", "dog", count=14))
    assert "0 done, 1 to do" in compared(str(one))[1]
    code, why = compared(str(two))
    assert code == BAD_INPUT
    assert "holds results of other images called 'pets'" in why
    assert "(other train images, train checksum)" in why
    assert "0 done, 1 to do" in compared(f"more={two}")[1]
    assert "1 done, 0 to do" in compared(str(one))[1]

    write_files(one, class_files("cat", count=13))
    assert compared(str(one))[0] == BAD_INPUT, "an image came to the folder"
    assert len((out / "results.jsonl").read_text().splitlines()) == 2


def test_images_of_mixed_sizes_are_compared_without_copies_of_test_images(
    tmp_path, capsys
):
    """As by `fit`; and shown when the images are gone."""
    pets, out = tmp_path / "pets", tmp_path / "board"
    same = {f"cat/copy{k}.png": encoded(7) for k in range(12)}
    files = class_files("cat", "dog", count=12) | {
        "dog/large.png": encoded(1, "PNG", (30, 20))
    }
    write_files(pets, files | same)
    command = ["compare", "--data", str(pets), "--out", str(out), "--methods", "none"]
    assert main([*command, *FEW]) == 0
    assert "pets: size       9x9: images are 12x9 to 30x20" in capsys.readouterr().err
    (record,) = read_lines(out / "results.jsonl")
    data = record["config"]["data"]
    assert (data["image_size"], data["drop_duplicates"]) == (None, True)
    assert record["data"]["image shape"][1:] == [9, 9]

    pets.rename(tmp_path / "gone")
    assert main([*command, *FEW, "--render", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["seeds"], row["seeds_missing"]) == (1, 0)

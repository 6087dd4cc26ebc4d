import json

import pytest
from cli.asking import FAST, image_folder, refused
from finished import finished_run
from PIL import Image
from tiny import tiny

from infaug.cli.fit import parse_fit
from infaug.cli.influence import check_in_run
from infaug.cli.main import main
from infaug.config import to_dict
from infaug.record.timings import effort_of

pytestmark = pytest.mark.long


def test_fit_trains_every_method_and_ends_with_a_result_line(tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["fit", "--out", str(out), *FAST]) == 0
    captured = capsys.readouterr()
    last = captured.out.strip().splitlines()[-1]
    effort = effort_of(out)
    assert "trainings took " in captured.out
    assert " s on the clock), at most " in captured.out
    assert effort.memory_gib
    assert 0.05 < effort.memory_gib < 50
    assert effort.seconds > 0
    assert last.startswith("RESULT {")
    result = json.loads(last.removeprefix("RESULT "))
    assert list(result) == ["unit", "methods", "verdict", "seconds"]
    assert set(result["methods"]) == {
        "none", "base", "base_random", "learned", "base_learned", "pooled",
        "pooled_learned", "base_tuned", "oracle",
    }  # fmt: skip
    assert all(len(row["seeds"]) == 1 for row in result["methods"].values())
    assert result["verdict"]["word"] == "undecided"
    assert {"classify", "refresh", "estimate", "total"} <= set(result["seconds"])
    assert (out / "interpolation-pooled_learned.png").exists()
    with Image.open(out / "views-pooled_learned.png") as picture:
        assert picture.width > 300
    assert f"report: {out}/report.html" in captured.out
    page = (out / "report.html").read_text()
    assert page.count("<section") == 10
    assert page.count("Not drawn") == 0
    assert not list(out.glob("trainings/*/checkpoints"))

    # Again: reported as finished, and the same result.
    assert main(["fit", "--out", str(out), *FAST]) == 0
    again = capsys.readouterr().out
    assert "holds a finished experiment" in again
    assert again.strip().splitlines()[-1] == last


def test_a_finished_run_does_not_fail_for_its_pictures(tmp_path, monkeypatch, capsys):
    run = finished_run(tmp_path / "run")
    (run / "result.json").unlink()
    found = dict.fromkeys(("unit", "methods", "verdict", "seconds"))

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("infaug.cli.fit._run", lambda *_: found)
    monkeypatch.setattr("infaug.report.views.draw_pictures", fail)
    monkeypatch.setattr("infaug.cli.influence.check_in_run", lambda _: [])
    monkeypatch.setattr(
        "infaug.report.experiment_page.report_at_end", lambda *_, **__: []
    )
    for _ in range(2):  # the second time they are tried again
        arguments = ["fit", "--data", "digits", "--out", str(run), "--quiet"]
        assert main(arguments) == 0
        captured = capsys.readouterr()
        assert captured.out.startswith("RESULT ")
        assert "pictures of views not drawn ([Errno 28] No space left" in captured.err
        assert "rerun the command" in captured.err
    assert not list(run.glob("*.png"))


def test_a_finished_run_does_not_fail_for_the_check_of_its_influences(
    tmp_path, monkeypatch
):
    def away(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("infaug.trust.reload.reload", away)
    assert check_in_run(tmp_path) == [
        "influence not checked: [Errno 5] Input/output error"
    ]


@pytest.mark.slow
def test_images_of_many_sizes_and_a_target_folder_need_no_settings(tmp_path, capsys):
    data, used = tmp_path / "pets", tmp_path / "used"
    image_folder(data, count=14, mode="RGB")
    Image.new("L", (21, 30), 77).save(data / "cat" / "odd.png")
    image_folder(used, count=6, mode="RGB")
    (used / "cat" / "0.png").write_bytes((data / "cat" / "5.png").read_bytes())
    arguments = ["fit", "--data", str(data), "--target", str(used), *FAST[10:]]
    arguments += ["--seeds", "1", "--methods", "pooled", "pooled_learned"]
    arguments += ["--network", "allconv"]
    assert main([*arguments, "--plan"]) == 0
    plan = capsys.readouterr().out
    assert "RGB: images are" in plan
    assert "16x16: images are 16x16 to 21x30 pixels" in plan
    assert f"images of {used}: each is judged by classifiers" in plan
    assert "left out of the one that is trained on" in plan
    assert "--data.image-size 16 --color-mode RGB" in plan
    out = tmp_path / "run"
    for _ in range(2):  # the second time it continues with what was chosen
        assert main([*arguments, "--out", str(out)]) == 0
        (out / "result.json").unlink()
    captured = capsys.readouterr()
    assert captured.err.count("16x16: images are") == 1
    resolved = json.loads((out / "config.json").read_text())["data"]
    assert (resolved["image_size"], resolved["mode"]) == (16, "RGB")
    assert resolved["drop_duplicates"]
    assert "5.png" in (out / "duplicates.jsonl").read_text()
    assert "pooled_learned is" in captured.out


def files_of(folder):
    """What lies in it but below `runs`, and when it was written."""
    return {
        path.relative_to(folder): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if "runs" not in path.parts
    }


@pytest.mark.usefixtures("undrawn")
def test_a_run_may_lie_in_its_data_and_the_data_may_move(tmp_path, monkeypatch, capsys):
    """`cd photos; infaug fit --data .`; nothing but the run is written there."""
    photos = image_folder(tmp_path / "photos", count=20, mode="RGB")
    before = files_of(photos)
    monkeypatch.chdir(photos)
    fit = ["fit", *FAST[10:], "--network", "allconv", "--target", "12", "--seeds", "1"]
    fit += ["--methods", "pooled_learned"]
    assert main([*fit, "--data", "."]) == 0
    first = capsys.readouterr().out.splitlines()[-1]
    assert main([*fit, "--data", ".", "--plan"]) == 0
    assert "classes    2: cat (20), dog (20)" in capsys.readouterr().out
    assert files_of(photos) == before
    monkeypatch.chdir(tmp_path)
    out = ["--out", str(photos / "runs" / "fit")]
    assert main([*fit, "--data", "photos", *out]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == first
    photos.rename(tmp_path / "moved")
    run = tmp_path / "moved" / "runs" / "fit"
    rank = ["influence", "rank", str(run)]
    assert "rerun its `infaug fit` with the new --data" in refused(rank, capsys)
    assert main([*fit, "--data", "moved", "--out", str(run)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == first
    assert main(rank) == 0
    (tmp_path / "moved/cat/0.png").unlink()
    (tmp_path / "moved").rename(tmp_path / "again")
    fit += ["--data", "again", "--out", str(tmp_path / "again/runs/fit")]
    assert "run on other images" in refused(fit, capsys)


def test_a_target_that_is_a_number_is_held_out_of_the_data(tmp_path, capsys):
    out = ["--out", str(tmp_path / "run")]
    message = refused(["fit", "--data", "digits", "--target=5", *out], capsys)
    assert "10 classes" in message
    message = refused(["fit", "--data", "digits", "--target", "nowhere/5"], capsys)
    assert "nowhere/5" in message


@pytest.mark.usefixtures("undrawn")
def test_broken_images_of_a_folder_are_named_and_skipped_if_they_are_few(
    tmp_path, capsys
):
    folder = image_folder(tmp_path / "pets", count=20, mode="RGB")
    (folder / "cat" / "3.png").write_bytes(b"not an image")
    arguments = ["fit", "--out", str(tmp_path / "run"), "--data", str(folder)]
    arguments += ["--target", "12", "--seeds", "1", *FAST[10:]]
    arguments += ["--controls", "none", "--network", "allconv", "--quiet"]
    message = refused(arguments, capsys)
    assert "3.png" in message
    assert "max-bad-images" in message
    assert main([*arguments, "--data.max-bad-images", "2"]) == 0
    assert capsys.readouterr().out.startswith("RESULT ")
    assert "3.png" in (tmp_path / "run" / "unreadable.txt").read_text()


def test_one_class_only_is_refused(tmp_path, capsys):
    folder = image_folder(tmp_path / "pets", classes=("cat",))
    arguments = ["fit", "--data", str(folder), "--out", str(tmp_path / "run")]
    assert "class" in refused(arguments, capsys)


def test_other_settings_in_a_folder_that_is_in_use_are_named(tmp_path, capsys):
    for name in ("asked.json", "config.json"):
        (tmp_path / name).write_text(json.dumps(to_dict(tiny())))
    message = refused(["fit", "--out", str(tmp_path), *FAST], capsys)
    assert "rounds.classifier_steps: 6 -> 3" in message


def test_a_learning_rate_that_explodes_is_an_error_and_no_result(tmp_path, capsys):
    arguments = ["fit", "--out", str(tmp_path / "run"), *FAST]
    arguments += ["--classifier.learning-rate", "1e30"]
    message = refused(arguments, capsys)
    assert "learning_rate" in message
    assert not (tmp_path / "run" / "result.json").exists()


@pytest.mark.usefixtures("undrawn")
def test_a_config_file_sets_what_flags_do_not(tmp_path, capsys):
    path = tmp_path / "best.json"
    path.write_text(json.dumps(to_dict(tiny(controls="none"))))
    out = str(tmp_path / "run")
    arguments = ["fit", "--out", out, "--config", str(path), "--labels", "50"]
    assert main([*arguments, "--quiet"]) == 0
    requested = json.loads((tmp_path / "run" / "asked.json").read_text())
    assert requested["data"]["labels"] == 50
    assert requested["rounds"]["classifier_steps"] == 6
    capsys.readouterr()
    path.write_text("[]")
    assert "is no config" in refused(
        ["fit", "--out", out, "--config", str(path)], capsys
    )


def test_a_run_without_learned_methods_ends_with_its_table(tmp_path, capsys):
    assert (
        main(["fit", *FAST, "--methods", "base", "--out", str(tmp_path / "run")]) == 0
    )
    out = capsys.readouterr().out
    assert "base" in out
    assert out.strip().splitlines()[-1].startswith("RESULT")


def test_a_preset_a_color_mode_and_the_rounds_have_flags_of_their_own():
    words = ["--data", "x", "--preset", "cvpr", "--color-mode", "L", "--num-rounds=3"]
    run = parse_fit(words).run
    assert (run.mode, run.data.mode, run.rounds.rounds) == ("cvpr", "L", 3)
    assert run.adversarial.fit == "ragan"

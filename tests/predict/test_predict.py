"""`infaug predict`: what a run's classifier says of images of one's own."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from finished import CLASSES, finished_run
from PIL import Image
from reading import encoded
from tiny import CONFIG, tiny

from infaug.cli.main import main
from infaug.cli.terminal import SOME_FAILED
from infaug.config import ExportConfig, ShiftConfig
from infaug.data.decode import Encoded
from infaug.data.problem import load_splits
from infaug.experiment.run import run as train
from infaug.export.write import export_run
from infaug.predict.model import open_model
from infaug.randomness import generator
from infaug.record.folder import RunFolder


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return finished_run(tmp_path_factory.mktemp("predict") / "run")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Six noise images of mixed sizes and modes below folders, three named a class."""
    root = tmp_path_factory.mktemp("pictures")
    for k, (folder, mode) in enumerate(
        [("cat", "L"), ("dog", "RGB"), ("hen", "L"), ("cow", "L"), ("cow", "RGB"),
         ("a/b", "L")]
    ):  # fmt: skip
        shape = (16 + 4 * k, 16, 3)[: 3 if mode == "RGB" else 2]
        noise = torch.randint(256, shape, generator=generator("picture", k))
        (root / folder).mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(noise.to(torch.uint8).numpy())
        image.save(root / folder / f"{k}.png")
    return root


def lines_of(path: Path) -> list[dict]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_trained_f_finds_on_files_what_its_run_found_on_the_test_split(
    tmp_path, capsys
):
    """So images go through the same preparation, and the right F is used."""
    data = replace(CONFIG.data, shift=ShiftConfig(), test=200)
    train(tiny(data=data, methods=("base",)), tmp_path / "run", shown=False)
    test = load_splits(data).test
    for k, (image, label) in enumerate(zip(test.images, test.labels, strict=True)):
        folder = tmp_path / "digits" / test.class_names[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0].numpy()).save(folder / f"{k}.png")
    out = str(tmp_path / "out.csv")
    command = ["predict", str(tmp_path / "run"), str(tmp_path / "digits")]
    assert main([*command, "--out", out, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    training = RunFolder(tmp_path / "run").found("base", 0)
    assert found["labelled"] == len(test)
    assert found["top1"] == pytest.approx(training["test_top1"])


def test_every_image_has_a_line_with_classes_in_order_of_probability(
    run, pictures, tmp_path, capsys
):
    out = tmp_path / "out.csv"
    assert main(["predict", str(run), str(pictures), "--out", str(out)]) == 0
    lines = lines_of(out)
    assert [Path(line["path"]).name for line in lines] == [
        "5.png", "0.png", "3.png", "4.png", "1.png", "2.png",
    ]  # fmt: skip
    for line in lines:
        names = [line["class"], line["class_2"], line["class_3"]]
        assert sorted(names) == sorted(CLASSES)
        probs = [float(line[f"probability{end}"]) for end in ("", "_2", "_3")]
        assert probs == sorted(probs, reverse=True)
        assert sum(probs) == pytest.approx(1, abs=1e-5)
    assert [line["label"] for line in lines] == ["", "cat", "", "", "dog", "hen"]
    said = capsys.readouterr().out
    assert "6 images" in said
    assert "top-1 on 3 images whose class is known" in said
    assert "base_learned-seed1" in said  # as `infaug export` chooses


def test_a_run_and_its_export_say_the_same(run, pictures, tmp_path):
    export_run(run, tmp_path / "exported", ExportConfig(formats=()))
    for place in (run, tmp_path / "exported"):
        out = tmp_path / f"{place.name}.jsonl"
        assert main(["predict", str(place), str(pictures), "--out", str(out)]) == 0
    found = [(tmp_path / f"{n}.jsonl").read_text() for n in (run.name, "exported")]
    assert found[0] == found[1]


def test_an_accuracy_on_images_that_the_run_was_given_comes_with_a_warning(
    run, pictures, tmp_path, capsys
):
    shutil.copytree(run, tmp_path / "run")
    config = json.loads((tmp_path / "run/config.json").read_text())
    config["data"]["source"] = str(pictures)
    (tmp_path / "run/config.json").write_text(json.dumps(config))
    command = ["predict", "--out", str(tmp_path / "out.csv")]
    for place, is_own in [(tmp_path / "run", True), (run, False)]:
        assert main([*command, str(place), str(pictures / "cat")]) == 0
        said = capsys.readouterr().err
        assert (f"{pictures / 'cat'}: the run was given these images" in said) == is_own


def test_parquet_is_read_and_written_and_its_classes_are_known_by_name(
    run, pictures, tmp_path, capsys
):
    files = sorted(pictures.rglob("*.png"))
    table = pa.table({
        "image": [file.read_bytes() for file in files], "label": [0, 1, 2, 0, 1, 2],
    })  # fmt: skip
    names = json.dumps(["hen", "lion", "cat"])
    table = table.replace_schema_metadata({"class_names": names})
    pq.write_table(table, tmp_path / "in.parquet")
    out = tmp_path / "out.parquet"
    command = ["predict", str(run), str(tmp_path / "in.parquet"), "--out", str(out)]
    assert main([*command, "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    lines = pq.read_table(out).to_pylist()
    assert [line["label"] for line in lines] == ["hen", None, "cat"] * 2
    assert lines[4]["path"].endswith("in.parquet row 4")


def test_unreadable_images_are_listed_and_told_by_the_exit_code(
    run, pictures, tmp_path, capsys
):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "broken.png").write_bytes(b"no image")
    command = ["predict", str(run), str(tmp_path / "in"), str(pictures / "cat")]
    assert main([*command, "--out", "-"]) == SOME_FAILED
    captured = capsys.readouterr()
    assert "broken.png cannot be read" in captured.err
    assert len(captured.out.splitlines()) == 2


def test_bare_numbers_are_not_compared_with_names(run, pictures, tmp_path, capsys):
    files = sorted(pictures.rglob("*.png"))[:2]
    table = pa.table({"image": [f.read_bytes() for f in files], "label": [0, 1]})
    pq.write_table(table, tmp_path / "in.parquet")
    out = str(tmp_path / "out.csv")
    assert main(["predict", str(run), str(tmp_path / "in.parquet"), "--out", out]) == 0
    assert "has bare numbers for labels" in capsys.readouterr().err
    assert [line["label"] for line in lines_of(Path(out))] == ["", ""]


@pytest.mark.parametrize("labels", [("cat", "dog", ""), ("0", "1", "2"), None])
def test_a_csv_of_paths_is_read_and_its_labels_are_compared_by_name(
    run, pictures, tmp_path, capsys, labels
):
    files = sorted(pictures.rglob("*.png"))[:3]
    head = "path,label\n" if labels else "path\n"
    cells = zip(files, labels or ("",) * 3, strict=True)
    lines = [f"{file}{f',{label}' if labels else ''}\n" for file, label in cells]
    table = tmp_path / "in.csv"
    table.write_text(head + "".join(lines))
    command = ["predict", str(run), str(table), "--out", str(tmp_path / "out.csv")]
    assert main(command) == 0
    is_warned = "has bare numbers for labels" in capsys.readouterr().err
    assert is_warned == (labels == ("0", "1", "2"))
    known = ["cat", "dog", ""] if labels and labels[0] == "cat" else [""] * 3
    assert [line["label"] for line in lines_of(tmp_path / "out.csv")] == known


def test_pixels_are_read_as_by_fit(run):
    """Scaled by the bits of the run's set, turned, and put on white."""
    model = open_model(run, None, None, torch.device("cpu"))
    model = replace(model, data=replace(model.data, pixel_bits=12))

    def seen(image, **settings):
        return model.prepared(Encoded("a.png", encoded(image, **settings), -1))[0]

    deep = Image.fromarray(np.full((16, 16), 2048, dtype=np.uint16))
    assert seen(deep).unique().tolist() == [128]
    assert seen(Image.new("LA", (16, 16), (7, 0))).unique().tolist() == [255]
    upright = Image.new("L", (16, 16), 0)
    upright.paste(255, (0, 0, 8, 16))
    exif = Image.Exif()
    exif[274] = 6
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    assert seen(turned, exif=exif).equal(seen(upright))

import json

import pytest
import torch
from finished import finished_run
from full_disk import full_disk

from infaug.cli.main import main
from infaug.config import ExportConfig
from infaug.export import LearnedAugment, write
from infaug.export.write import export_run


def test_the_card_says_what_was_learned_and_what_came_of_it(exported):
    card = json.loads((exported / "card.json").read_text())
    assert card["verdict"]["word"] == "no gain"
    assert card["image"] | {"channels": 1, "height": 16, "width": 16} == card["image"]
    assert card["used_after"] == "affine"
    assert card["licence"].startswith("not stated")
    assert {"infaug", "torch", "python"} <= card["versions"].keys()
    assert card["data"]["checksum"] == "0"
    assert card["of_this_training"]["strength"] == 1
    assert set(card["files"]) == {"augment.safetensors", "classifier.safetensors"}
    assert "standard deviation" in card["tau"]


def test_a_run_that_is_not_finished_can_be_exported_and_says_so(tmp_path):
    run = finished_run(tmp_path / "run")
    (run / "result.json").unlink()
    card = export_run(run, tmp_path / "out", ExportConfig(formats=()))
    assert card["verdict"] is None


def test_an_earlier_export_is_replaced_and_nothing_else(grey_run, tmp_path):
    config = ExportConfig(formats=(), licence="CC-BY-4.0")
    export_run(grey_run, tmp_path / "out", config)
    card = export_run(grey_run, tmp_path / "out", config)
    assert card["licence"] == "CC-BY-4.0"
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"holds 'thesis\.tex' .* nothing was touched"):
        export_run(grey_run, tmp_path / "out", config)
    assert (tmp_path / "out" / "card.json").exists()


def test_a_full_disk_is_told_and_leaves_the_earlier_export_whole(grey_run, tmp_path):
    out, config = tmp_path / "out", ExportConfig(formats=())
    export_run(grey_run, out, config)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with full_disk(), pytest.raises(ValueError, match=r"out cannot be written.*room"):
        export_run(grey_run, out, config)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_an_export_that_fails_leaves_the_earlier_one_whole(
    grey_run, tmp_path, monkeypatch
):
    def fail(*_, **__):
        raise ValueError("the program differs")

    out, formats = tmp_path / "out", ("torch_export",)
    export_run(grey_run, out, ExportConfig(formats=()))
    held = {path.name: path.read_bytes() for path in out.iterdir()}
    monkeypatch.setattr(write, "write_program", fail)
    with pytest.raises(ValueError, match="differs"):
        export_run(grey_run, out, ExportConfig(formats=formats))
    assert {path.name: path.read_bytes() for path in out.iterdir()} == held


def test_the_command_writes_programs_and_says_how_to_load(grey_run, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["export", str(grey_run), "--method", "pooled_learned"]
    assert main([*command, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "pooled_learned-seed0" in said
    assert "verdict: no gain" in said
    assert "augment.pt2: differs by" in said
    assert "LearnedAugment.load(" in said
    augment = LearnedAugment.load(out)
    program = torch.export.load(out / "augment.pt2").module()
    x, noise = torch.rand(2, 1, 16, 16), torch.randn(2, 8)
    torch.testing.assert_close(
        program(x=x, noise=noise), augment.views.transform(x, noise)
    )

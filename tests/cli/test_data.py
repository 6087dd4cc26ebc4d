from cli.asking import image_folder

from infaug.cli.main import main
from infaug.cli.terminal import BAD_INPUT
from infaug.config import DataConfig
from infaug.data.source import load


def test_prepare_writes_shards_that_fit_reads_and_says_what_it_did(tmp_path, capsys):
    source, out = image_folder(tmp_path / "src"), tmp_path / "set"
    (source / "cat" / "bad.png").write_bytes(b"no image")
    (source / "cat" / "notes.txt").write_text("x")
    command = ["data", "prepare", str(source), str(out), "--rows-per-shard", "8"]
    assert main(command) == BAD_INPUT
    assert "--max-bad-images 1 or more" in capsys.readouterr().err
    assert main([*command, "--max-bad-images", "0.1"]) == 0
    said = capsys.readouterr().out
    assert "24 train images of 2 classes, 4 shards" in said
    assert f"1 unreadable image was left out: {out}/unreadable.jsonl" in said
    assert "skipped    1 file (.txt, not an image): cat/notes.txt" in said
    assert main([*command, "--max-bad-images", "0.1", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert len(load(DataConfig(source=str(out))).train) == 24

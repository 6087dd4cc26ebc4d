"""What a run will do is told before it begins."""

from dataclasses import replace

from tiny import CONFIG

from infaug.cli.main import main
from infaug.comparison.outlook import foresee
from infaug.data.problem import load_splits


def test_the_outlook_counts_images_steps_and_cells():
    config = replace(CONFIG, rows=("base", "base_learned"), seeds=2)
    text = "\n".join(foresee(config, workers=1))
    splits, rounds = load_splits(config.data), config.rounds
    assert f"{len(splits.train)} to train on (in memory)" in text
    assert f"{len(splits.influence)} influence" in text
    assert f"{rounds.rounds * rounds.classifier_steps} steps" in text
    assert "4: base, base_learned; 2 seeds" in text
    assert "estimate" in text


def test_a_plan_is_printed_and_nothing_is_run(tmp_path, capsys):
    out = tmp_path / "run"
    argv = ["fit", "--data", "digits", "--labels", "60", "--target", "40", "--plan"]
    more = ["--seeds", "1", "--rows", "base", "--rounds.rounds", "1"]
    assert main([*argv, *more, "--out", str(out)]) == 0
    assert "1: base; 1 seed\n" in capsys.readouterr().out
    assert not out.exists()

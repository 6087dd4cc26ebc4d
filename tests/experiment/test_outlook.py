"""What a run will do is told before it begins."""

from dataclasses import replace

import pytest
from tiny import CONFIG

from infaug.cli.main import main
from infaug.data.problem import load_splits
from infaug.experiment.outlook import foresee


def test_the_outlook_counts_images_steps_and_cells():
    config = replace(CONFIG, methods=("base", "base_learned"), seeds=2)
    text = "\n".join(foresee(config, workers=1))
    splits, rounds = load_splits(config.data), config.rounds
    assert f"{len(splits.train)} to train on (in memory)" in text
    assert f"{len(splits.influence)} influence" in text
    assert f"{rounds.rounds * rounds.classifier_steps} steps" in text
    assert "4: base, base_learned; 2 seeds" in text
    assert "estimate" in text


def test_any_number_of_workers_that_can_train_has_an_outlook():
    """Of seven groups, three workers have two, two and three."""
    config = replace(
        CONFIG,
        methods=("base_learned",),
        classifier=replace(CONFIG.classifier, batch_size=14, batch_groups=7),
        adversarial=replace(CONFIG.adversarial, batch_size=7),
        estimator=replace(CONFIG.estimator, batch_size=7),
    )
    assert any("workers    3 on" in line for line in foresee(config, workers=3))
    with pytest.raises(ValueError, match="7 batch groups are too few for 8 workers"):
        list(foresee(config, workers=8))


def test_a_plan_is_printed_and_nothing_is_run(tmp_path, capsys):
    out = tmp_path / "run"
    argv = ["fit", "--data", "digits", "--labels", "60", "--target", "40", "--plan"]
    more = ["--seeds", "1", "--methods", "base", "--rounds.rounds", "1"]
    assert main([*argv, *more, "--out", str(out)]) == 0
    assert "1: base; 1 seed\n" in capsys.readouterr().out
    assert not out.exists()

"""What a run will do and cost; how long steps take may choose the controls, once."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from killed import interrupt
from resolved import resolved
from tiny import CONFIG

from infaug.cli.main import main
from infaug.config import ClassifierConfig, RoundsConfig
from infaug.data.problem import load_splits
from infaug.data.source import load
from infaug.experiment import controls, execute, plan, run
from infaug.experiment.controls import Pace, choose, choose_methods
from infaug.experiment.outlook import foresee
from infaug.experiment.plan import with_folds

FAST = Pace(base_step=1e-4, learned_step=2e-4, estimator_step=1e-4, image=1e-6)
SLOW = Pace(base_step=20.0, learned_step=40.0, estimator_step=20.0, image=1e-3)

OPEN = replace(CONFIG, controls="auto")


def choice_at(pace: Pace, monkeypatch, workers: int = 1) -> tuple[str, str]:
    monkeypatch.setattr(controls, "measure", lambda *_: pace)
    config = resolved(OPEN)
    cpu = torch.device("cpu")
    found = choose(config, load(config.data), cpu, workers, fewer_folds=False)
    return found[0].controls, found[1][0]


def test_full_controls_if_they_take_under_half_an_hour_else_quick(monkeypatch):
    assert choice_at(FAST, monkeypatch)[0] == "full"
    chosen, why = choice_at(SLOW, monkeypatch)
    assert chosen == "quick"
    assert "minutes with full controls" in why
    assert "running quick" in why
    assert choice_at(SLOW, monkeypatch, workers=10)[0] == "full", "they take less"


def methods_at(pace: Pace, minutes: float, target: str | None = "elsewhere"):
    config = replace(OPEN, minutes=minutes, rounds=RoundsConfig())
    source = load(config.data)
    data = replace(config.data, folds=5, target_source=target)
    config = with_folds(replace(config, data=data), source)
    return choose_methods(resolved(config), source, pace, 1, fewer_folds=True)


def test_a_budget_is_kept_by_fewer_methods_then_steps_then_folds():
    pace = replace(FAST, base_step=0.02, learned_step=0.02, estimator_step=0.02)
    ample, _ = methods_at(pace, 500)
    some, why = methods_at(pace, 10)
    assert set(some.methods) < set(ample.methods)
    assert some.rounds.classifier_steps < ample.rounds.classifier_steps
    assert "no time for" in why
    few, why = methods_at(replace(pace, base_step=0.3), 20)
    assert (few.data.folds, few.seeds) == (3, 3)
    assert "3 folds in place of 5" in why
    assert "pooled_policy" not in few.methods
    enough = re.search(r"to compare a learned view, --minutes (\d+)", why)
    assert enough
    more, why = methods_at(replace(pace, base_step=0.3), float(enough[1]))
    assert "pooled_policy" in more.methods
    assert "to compare" not in why
    only, why = methods_at(replace(pace, base_step=50), 20)
    assert only.methods == ("pooled_uniform",), "the strongest control"
    assert "longer than --minutes 20" in why


def test_without_a_target_plain_training_comes_first():
    only, _ = methods_at(replace(FAST, base_step=50), 20, target=None)
    assert only.methods == ("pooled",)
    ample, _ = methods_at(FAST, 500, target=None)
    assert {"pooled_trivial", "pooled_policy", "base"} < set(ample.methods)


@pytest.mark.parametrize("pace", [FAST, SLOW])
def test_the_folder_keeps_the_choice_and_a_resumed_run_does_not_choose_again(
    pace, tmp_path: Path, monkeypatch
):
    chosen = "full" if pace is FAST else "quick"
    monkeypatch.setattr(controls, "measure", lambda *_: pace)
    monkeypatch.setattr(execute, "run_planned", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.run(OPEN, tmp_path / "run", shown=False)
    kept = [json.loads((tmp_path / "run" / f"{n}.json").read_text())["controls"]
            for n in ("asked", "config")]  # fmt: skip
    assert kept == ["auto", chosen]

    monkeypatch.setattr(controls, "measure", interrupt)
    seen = []
    monkeypatch.setattr(
        execute, "run_planned", lambda all_, *_, **__: seen.extend(all_)
    )
    monkeypatch.setattr(run, "summarise", lambda *_: {})
    run.run(OPEN, tmp_path / "run", shown=False)
    assert any(training.candidate for training in seen) == (chosen == "full")


def test_the_outlook_counts_images_steps_and_trainings():
    config = replace(CONFIG, methods=("base", "base_learned"), seeds=2)
    text = "\n".join(foresee(config, workers=1))
    splits, rounds = load_splits(config.data), config.rounds
    assert f"{len(splits.train)} to train on (in memory)" in text
    assert f"{len(splits.influence)} influence" in text
    assert f"{rounds.rounds * rounds.classifier_steps} steps" in text
    assert "4: base, base_learned; 2 seeds" in text
    assert "estimate" in text


def test_a_plan_has_one_estimate_of_time(tmp_path, monkeypatch):
    """That for which methods were chosen is that of all trainings."""
    pace = replace(FAST, base_step=0.02, learned_step=0.02, estimator_step=0.02)
    monkeypatch.setattr(controls, "measure", lambda *_: pace)
    data = replace(CONFIG.data, folds=3)
    config = replace(OPEN, data=data, minutes=10, rounds=RoundsConfig())
    lines = list(foresee(config, workers=0, jobs=2))
    chosen, whole = (line for line in lines if line.startswith("estimate "))
    said = re.search(r"\d+ (minutes|seconds)", chosen)
    assert said
    assert f"{said[0]}, 2 at a time" in whole
    assert any("on all images" in line for line in lines)


def test_batches_are_small_for_pretrained_weights_on_a_cpu():
    def size(**settings):
        f = ClassifierConfig(network="torchvision:resnet18", **settings)
        return resolved(replace(CONFIG, classifier=f)).classifier.batch_size

    assert size() == 64
    assert size(weights="default", freeze="body") == 32
    assert size(weights="default", freeze="body", batch_size=64) == 64


def test_a_frozen_network_leaves_the_other_cores_to_other_trainings(monkeypatch):
    monkeypatch.setattr(plan, "usable_cores", lambda: 4)

    def threads(freeze):
        resnet = {"network": "torchvision:resnet18", "weights": "default"}
        f = ClassifierConfig(**resnet, freeze=freeze)
        return resolved(replace(CONFIG, classifier=f)).threads

    assert [threads(freeze) for freeze in ("none", "early", "body")] == [4, 1, 1]


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

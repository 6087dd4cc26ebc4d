"""What an experiment with folds answers, and how sure it is."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from killed import contents
from PIL import Image
from scipy.stats import norm
from tiny import tiny

from infaug.config import DataConfig, RunConfig, TuningConfig
from infaug.data.digits import digits
from infaug.data.problem import FINAL, divide
from infaug.data.source import load
from infaug.experiment.answer import (
    OutOfFold,
    accuracy_of_chosen,
    answer,
    at_temperature,
    choose,
    difference,
)
from infaug.experiment.execute import final_plan, plan_of
from infaug.experiment.finished import choose_classifier
from infaug.experiment.plan import with_folds
from infaug.experiment.run import run
from infaug.record.folder import RunFolder

METHODS = ("base", "base_tuned", "pooled", "base_learned")


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> RunConfig:
    """Class folders of digits, and a few of them as the target."""
    root, every = tmp_path_factory.mktemp("digits"), digits()
    for name, each in (("source", range(12)), ("target", range(12, 18))):
        for label in range(3):
            (root / name / str(label)).mkdir(parents=True)
            at = (every.labels == label).nonzero().squeeze(1)
            for number in each:
                pixels = every.images[at[number], 0].numpy()
                Image.fromarray(pixels).save(root / name / str(label) / f"{number}.png")
    data = DataConfig(
        source=str(root / "source"), target_source=str(root / "target"), folds=3
    )
    tuning = TuningConfig(candidates=("affine:20", "affine:60"))
    return tiny(methods=METHODS, data=data, tuning=tuning, seeds=2)


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("folds") / "run"
    run(config, out, shown=False)
    return out


def test_every_target_image_is_judged_once_and_serves_elsewhere(config):
    source = load(config.data)
    config = with_folds(config, source)
    assert config.seeds == 3, "whole passes over the folds"
    judged = []
    for fold in range(3):
        splits = divide(source, config.data, fold)
        assert splits.at is not None
        assert splits.at.test.numel() == 6
        assert splits.test.labels.bincount().tolist() == [2, 2, 2]
        parts = (splits.at.test, splits.at.influence, splits.at.selection)
        assert sorted(np.concatenate(parts).tolist()) == list(range(18))
        judged += splits.at.test.tolist()
    assert sorted(judged) == list(range(18))
    final = divide(source, config.data, FINAL)
    assert len(final.test) == 0
    assert len(final.influence) + len(final.selection) == 18


def test_folds_come_by_themselves_where_a_target_is_given(config):
    source = load(config.data)
    data = replace(config.data, folds=None)
    assert with_folds(replace(config, data=data), source).data.folds == 5
    alone = replace(data, target_source=None)
    assert with_folds(replace(config, data=alone), load(alone)).data.folds == 0
    with pytest.raises(ValueError, match="one fold leaves nothing"):
        with_folds(replace(config, data=replace(data, folds=1)), source)


def test_who_chooses_nothing_by_selection_images_trains_on_them(finished):
    folder = RunFolder(finished)
    assert "selection_loss" in folder.found("base_learned", 0)
    assert "selection_loss" not in folder.found("pooled", 0)
    assert "selection_loss" in folder.found("base", 0)


def test_the_answer_is_trained_on_all_images_and_handed_over(finished):
    result = json.loads((finished / "result.json").read_text())
    found = result["answer"]
    assert found["num_images"] == 18
    assert 0 <= found["low"] <= found["accuracy"] <= found["high"] <= 100
    assert found["learned_worth"]["method"] == "base_learned"
    chosen = choose_classifier(RunFolder(finished))
    assert (chosen.method.name, chosen.seed) == (found["method"], FINAL)
    assert not any(name.startswith("test") for name in chosen.found)
    assert chosen.classifier()(digits().images[:2] / 255).shape == (2, 3)


def test_a_final_training_brings_what_it_needs(config):
    config = with_folds(config, load(config.data))
    assert [spec.method.name for spec in final_plan(config, ["pooled"])] == ["pooled"]
    last = final_plan(config, ["base_tuned"])
    assert last[-1].method.name == "base_tuned"
    assert len(last) == 1 + len(config.tuning.candidates)
    assert {spec.seed for spec in last} == {FINAL}
    assert FINAL not in {spec.seed for spec in plan_of(config)}


@pytest.mark.slow
def test_folds_and_final_keep_their_bytes_side_by_side(config, finished, tmp_path):
    run(config, tmp_path / "run", shown=False, jobs=2)
    assert contents(tmp_path / "run") == contents(finished)


def drawn(
    rng: np.random.Generator, accuracies: list[float], num: int, passes: int = 1
) -> dict[str, OutOfFold]:
    """Methods of known accuracy on images whose difficulty they share."""
    fold = np.tile(np.arange(num) % 5, (passes, 1))
    shared = rng.normal(size=num)
    found = {}
    for number, accuracy in enumerate(accuracies):
        luck = np.take_along_axis(0.1 * rng.normal(size=(passes, 5)), fold, 1)
        own = rng.normal(size=(passes, num))
        margin = norm.ppf(accuracy) * np.sqrt(1.01)
        margin = margin + luck - (0.8 * shared + 0.6 * own)
        log_prob = -np.log1p(np.exp(-2 * margin))
        found[str(number)] = OutOfFold(margin > 0, log_prob, fold)
    return found


def test_a_gain_that_is_none_is_seldom_seen_and_a_real_one_often():
    rng, num = np.random.default_rng(0), 400
    equal = [difference(*drawn(rng, [0.85, 0.85], 100).values()) for _ in range(num)]
    assert np.mean([made.low > 0 for made in equal]) <= 0.05
    better = [difference(*drawn(rng, [0.95, 0.8], 100).values()) for _ in range(num)]
    assert np.mean([made.low > 0 for made in better]) >= 0.7


@pytest.mark.parametrize("num_images", [30, 100, 300])
def test_the_interval_of_the_chosen_method_covers_its_accuracy(num_images):
    """Of methods that are equally good: the best one by luck is no better."""
    rng = np.random.default_rng(1)
    covers = []
    for _ in range(400):
        made = accuracy_of_chosen(drawn(rng, [0.85] * 4, num_images))
        covers.append(made.low <= 85 <= made.high)
    assert 0.92 <= np.mean(covers) <= 0.98


def test_the_best_method_is_chosen_by_loss_and_compared_with_its_closest_control():
    found = drawn(np.random.default_rng(2), [0.6, 0.97, 0.75], 300)
    assert choose(found) == "1"
    made = answer(found, "1", ["0", "2"])
    assert made["method"] == "1"
    assert made["learned_worth"]["control"] == "2"
    assert made["learned_worth"]["low"] > 0


def test_a_temperature_changes_confidence_and_no_decision():
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(200, 4))
    labels = np.where(rng.random(200) < 0.6, logits.argmax(axis=1), 0)
    found = at_temperature(10 * logits, labels)
    assert np.allclose(np.exp(found).sum(axis=1), 1)
    assert (found.argmax(axis=1) == logits.argmax(axis=1)).all()
    at = np.arange(200), labels
    once = 10 * logits - np.log(np.exp(10 * logits).sum(axis=1, keepdims=True))
    assert found[at].mean() > once[at].mean()

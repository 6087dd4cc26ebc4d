"""What an experiment with folds answers, and how sure it is."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from killed import different
from PIL import Image
from scipy.stats import norm
from tiny import tiny

from infaug.config import DataConfig, RunConfig, ShiftConfig, TuningConfig
from infaug.data.digits import digits
from infaug.data.problem import FINAL, divide
from infaug.data.source import load
from infaug.experiment.answer import accuracy_of_chosen, answer, difference
from infaug.experiment.execute import final_plan, plan_of
from infaug.experiment.finished import choose_classifier
from infaug.experiment.out_of_fold import OutOfFold, average, choose
from infaug.experiment.plan import with_folds
from infaug.experiment.run import run
from infaug.predict.model import open_model
from infaug.record.folder import RunFolder
from infaug.training.methods import METHODS

DIGITS = DataConfig()
TRAINED = ("base", "base_tuned", "pooled", "base_learned")


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
    return tiny(methods=TRAINED, data=data, tuning=tuning, seeds=2)


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
    with pytest.raises(ValueError, match="one fold leaves nothing"):
        with_folds(replace(config, data=replace(data, folds=1)), source)


def test_folds_come_by_themselves_where_all_images_are_given_as_they_are():
    def folds_of(changes: DataConfig = DIGITS, **given) -> int | None:
        source = replace(load(DIGITS), **given)
        return with_folds(RunConfig(data=changes), source).data.folds

    some = load(DIGITS).train.select(torch.arange(20))
    assert folds_of() == 5
    assert folds_of(test=some) == folds_of(target=some) == 0, "its own test or val"
    assert folds_of(replace(DIGITS, labels=300)) == 0
    assert folds_of(replace(DIGITS, shift=ShiftConfig(rotate_deg=40))) == 0


def test_who_chooses_nothing_by_selection_images_trains_on_them(finished):
    folder = RunFolder(finished)
    assert "selection_loss" in folder.found("base_learned", 0)
    assert "selection_loss" not in folder.found("pooled", 0)
    assert "selection_loss" in folder.found("base", 0)


@pytest.mark.parametrize(
    "method", ["policy_online", "policy_alone", "reweighted", "late"]
)
def test_who_chooses_nothing_by_selection_images_is_driven_by_all(config, method):
    splits = divide(load(config.data), config.data, 0)
    made = METHODS[method].divided(splits)
    assert len(made.influence) == len(splits.influence) + len(splits.selection) == 12
    assert not set(made.at.influence.tolist()) & set(made.at.test.tolist())
    learned = METHODS["pooled_learned"].divided(splits)
    assert len(learned.influence) == len(splits.influence) < 12, "reviews choose"


def test_the_answer_is_trained_on_all_images_and_handed_over(finished):
    result = json.loads((finished / "result.json").read_text())
    found = result["answer"]
    assert found["num_images"] == 18
    assert 0 <= found["low"] <= found["accuracy"] <= found["high"] <= 100
    assert found["learned_worth"]["method"] == "base_learned"
    chosen = choose_classifier(RunFolder(finished))
    names = [(training.method.name, training.seed) for training in chosen.trainings]
    assert names == [(name, FINAL) for name in found["members"]]
    assert found["method"] == " + ".join(found["members"])
    tested = [name for t in chosen.trainings for name in t.found if "test" in name]
    assert not tested
    assert chosen.classifier()(digits().images[:2] / 255).shape == (2, 3)


def test_models_of_the_folds_are_averaged_with_the_answer_where_asked(finished):
    answer = choose_classifier(RunFolder(finished))
    model = open_model(finished, None, None, torch.device("cpu"), folds_too=True)
    assert model.name == f"{answer.name}, with folds"
    x = digits().images[:4] / 255
    num = len(answer.trainings) * (1 + RunFolder(finished).config().seeds)
    assert len(model.classifier.members) == num
    each = [member(x).softmax(dim=1) for member in model.classifier.members]
    torch.testing.assert_close(
        model.classifier(x).softmax(dim=1), torch.stack(each).mean(dim=0)
    )
    one = choose_classifier(RunFolder(finished), "base")
    with pytest.raises(ValueError, match="--with-folds: base-seed"):
        one.with_folds()


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
    assert different(tmp_path / "run", finished) == []


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
        log_probs = -np.logaddexp(0, np.stack([2 * margin, -2 * margin], axis=2))
        found[str(number)] = OutOfFold(log_probs, np.ones(num, dtype=int), fold)
    return found


def test_a_gain_that_is_none_is_seldom_seen_and_a_real_one_often():
    rng, num = np.random.default_rng(0), 400
    equal = [difference(*drawn(rng, [0.85, 0.85], 100).values()) for _ in range(num)]
    assert np.mean([made.low > 0 for made in equal]) <= 0.05
    better = [difference(*drawn(rng, [0.95, 0.8], 100).values()) for _ in range(num)]
    assert np.mean([made.low > 0 for made in better]) >= 0.7


@pytest.fixture(scope="module")
def truths() -> list[float]:
    """Accuracy of the average of 1, 2, 3 and 4 equally good methods, percent."""
    rng = np.random.default_rng(4)
    draws = [list(drawn(rng, [0.85] * 4, 2000).values()) for _ in range(60)]
    return [
        float(np.mean([average(found[:k]).accuracy for found in draws]))
        for k in range(1, 5)
    ]


@pytest.mark.parametrize(
    ("num_images", "num"),
    [
        (30, 3),
        (300, 1),
        *(
            pytest.param(*more, marks=pytest.mark.slow)
            for more in ((30, 1), (100, 1), (100, 3), (300, 3))
        ),
    ],
)
def test_the_interval_of_what_is_chosen_covers_its_accuracy(truths, num_images, num):
    """Of methods that are equally good: the best one by luck is no better.

    More images do not help here, which the interval takes them to do a little.
    """
    assert truths == sorted(truths), "an average is better than its members"
    rng = np.random.default_rng(1)
    covers = []
    for _ in range(150):
        found = drawn(rng, [0.85] * 4, num_images)
        made = accuracy_of_chosen(found, num)
        truth = truths[len(choose(found, num)) - 1]
        covers.append(made.low <= truth <= made.high)
    assert 0.9 <= np.mean(covers) <= 0.99


def test_the_best_method_is_chosen_by_loss_and_compared_with_its_closest_control():
    found = drawn(np.random.default_rng(2), [0.6, 0.97, 0.75], 300)
    assert choose(found, 1) == ("1",)
    made = answer(found, "1", ["0", "2"], 2)
    assert made.method == "1", "the others are much worse"
    assert made.learned_worth["control"] == "2"
    assert made.learned_worth["low"] > 0


def test_methods_are_averaged_by_their_probabilities_and_that_is_better():
    found = drawn(np.random.default_rng(1), [0.85, 0.85, 0.5], 300)
    assert set(choose(found, 4)) == {"0", "1"}, "the third is much worse"
    both = average([found["0"], found["1"]])
    assert np.allclose(np.exp(both.log_probs).sum(axis=2), 1)
    means = sum(np.exp(found[name].log_probs) for name in "01") / 2
    assert np.allclose(np.exp(both.log_probs), means)
    assert both.loss < min(found["0"].loss, found["1"].loss)


def test_only_the_judgements_that_are_kept_choose():
    found = drawn(np.random.default_rng(6), [0.9, 0.9], 300)
    first = found["0"].fold == 0
    for name, hidden in (("0", first), ("1", ~first)):
        found[name].log_probs[hidden] = found[name].log_probs[hidden][:, ::-1]
    assert choose(found, 2, first) == ("1",)
    assert choose(found, 2, ~first) == ("0",)


def test_how_sure_a_method_is_of_itself_does_not_count():
    (found,) = drawn(np.random.default_rng(3), [0.7], 200).values()
    z = 10 * found.log_probs
    sure = z - np.logaddexp.reduce(z, axis=2, keepdims=True)
    assert replace(found, log_probs=sure).loss == pytest.approx(found.loss, abs=1e-5)

"""Recipes without a learned view, and target images that join late."""

import json
from dataclasses import replace

import pytest
import torch
from killed import contents, start
from resolved import resolved
from tiny import CONFIG, tiny

from infaug.classify.network import build_classifier
from infaug.data.problem import load_splits
from infaug.experiment.run import run
from infaug.experiment.trainings import plan_trainings
from infaug.record.folder import RunFolder
from infaug.training.methods import METHODS, RECIPES
from infaug.training.state import Training, _pooled_evenly
from infaug.training.views import late_round
from infaug.world import World

CPU = torch.device("cpu")


def test_a_stretched_network_ignores_light_and_contrast_of_an_image():
    network = build_classifier("allconv", 1, 3, 0).eval()
    network.is_stretched = True
    x = torch.rand(4, 1, 16, 16)
    torch.testing.assert_close(network(0.4 * x + 0.3), network(x), atol=1e-5, rtol=1e-4)
    flat = torch.full((1, 1, 16, 16), 0.5)
    assert network(flat).isfinite().all()


def test_whether_it_is_stretched_goes_with_the_weights():
    network, other = (build_classifier("allconv", 1, 3, k) for k in (0, 1))
    network.is_stretched = True
    other.load_state_dict(network.state_dict())
    assert other.is_stretched


def test_target_images_join_late_as_half_of_each_batch():
    config, splits = resolved(CONFIG), load_splits(CONFIG.data)
    cell = Training(METHODS["late"], 0, splits, config, World(), CPU)
    first = late_round(config.rounds) * config.rounds.classifier_steps
    assert 0 < first < config.rounds.rounds * config.rounds.classifier_steps
    base = Training(METHODS["base"], 0, splits, config, World(), CPU)
    before, after = cell.views_at(first - 1), cell.views_at(first)
    assert before.x.equal(base.views_at(first - 1).x)
    assert not after.x.equal(base.views_at(first).x)
    half = len(_pooled_evenly(splits)) - len(splits.train)
    assert half == pytest.approx(len(splits.train), rel=0.5)


def test_e_stands_still_once_its_images_are_trained_on(tmp_path):
    rounds = replace(CONFIG.rounds, rounds=4)
    run(tiny(methods=("late_learned",), rounds=rounds), tmp_path / "run", shown=False)
    lines = RunFolder(tmp_path / "run").lines("metrics.jsonl")
    assert {m["round"] for m in lines if m["phase"] == "estimate"} == {0, 1, 2}
    assert {m["round"] for m in lines if m["phase"] == "classify"} == {0, 1, 2, 3}


def test_methods_with_a_tuned_base_choose_from_the_same_candidates():
    config = resolved(CONFIG)
    rows = [METHODS[name] for name in ("base_tuned", "pooled_tuned", "even_stretched")]
    names = [spec.method.name for spec in plan_trainings(config, rows, [0])]
    assert len(names) == len(set(names)) == 3 + len(config.tuning.candidates)
    assert names.index("pooled_tuned") > len(config.tuning.candidates)


@pytest.mark.slow
def test_recipes_killed_and_continued_end_with_the_undisturbed_bytes(tmp_path):
    config = tiny(methods=(*RECIPES, "late_learned"))
    assert start(tmp_path / "undisturbed", None, config) == 0
    for doom in (["late", 1, "classify", 4], ["late_learned", 0, "estimate", 3]):
        assert start(tmp_path / "killed", doom, config) == -9
    assert start(tmp_path / "killed", None, config) == 0
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")
    found = json.loads((tmp_path / "killed" / "result.json").read_text())
    assert set(RECIPES) <= set(found["methods"])

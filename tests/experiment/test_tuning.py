"""The tuned base is chosen by selection alone, and resumes like everything else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import CONFIG

from infaug.augment.base import build_base
from infaug.config import TuningConfig
from infaug.experiment.run import run
from infaug.experiment.trainings import candidates_for, choose, plan_trainings
from infaug.training.methods import METHODS

CANDIDATES = ("affine:20", "affine:60x1.5", "affine:40+trivial")
TUNED = replace(
    CONFIG,
    methods=("base", "base_tuned"),
    tuning=TuningConfig(candidates=CANDIDATES, fraction=0.5),
)


@pytest.mark.parametrize("base", ["affine", "crop_flip", "resized_crop_flip", "none"])
def test_the_candidates_can_be_built_and_choosing_costs_at_most_two_trainings(base):
    names = candidates_for(base)
    assert all(build_base(name) for name in names)
    assert len(names) * TuningConfig().fraction <= 2


def test_candidates_come_before_the_method_that_needs_them_in_every_seed():
    trainings = plan_trainings(
        TUNED, [METHODS["base"], METHODS["base_tuned"]], range(2)
    )
    tried = [(training.candidate, training.seed) for training in trainings]
    one = [None, *CANDIDATES, None]
    assert tried == [(c, 0) for c in one] + [(c, 1) for c in one]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("tuned") / "run"
    run(TUNED, out, shown=False)
    return out


def result_of(out: Path, training: str) -> dict:
    return json.loads(
        (out / "trainings" / f"{training}-seed0" / "result.json").read_text()
    )


def test_choice_and_scores_of_all_candidates_are_kept_with_training_and_run(finished):
    tuned = result_of(finished, "base_tuned")
    assert tuple(tuned["candidates"]) == CANDIDATES
    assert choose(tuned["candidates"]) == tuned["base"]
    (kept,) = json.loads((finished / "result.json").read_text())["tuned"]
    assert kept == {k: tuned[k] for k in ("seed", "base", "candidates")}


def test_candidates_are_never_scored_on_test_images(finished):
    trial = result_of(finished, "tuning-affine20")
    assert "selection_top1" in trial
    assert not any("test" in name for name in trial)


def test_the_tuned_method_is_trained_with_what_it_chose(finished, tmp_path):
    chosen = result_of(finished, "base_tuned")["base"]
    as_base = replace(
        TUNED, methods=("base",), rounds=replace(TUNED.rounds, base=chosen)
    )
    run(as_base, tmp_path / "run", shown=False)
    weights = "trainings/{}-seed0/classifier.safetensors"
    tuned = (finished / weights.format("base_tuned")).read_bytes()
    assert tuned == (tmp_path / "run" / weights.format("base")).read_bytes()

"""A trial is a run that never sees test images and reports what its folder keeps."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from killed import interrupted_at
from reading import as_set
from tiny import CONFIG

from infaug.data.problem import divide
from infaug.data.source import load
from infaug.experiment.sweep.confirm import images_of_test, without_test
from infaug.experiment.sweep.ledger import Progress
from infaug.experiment.sweep.trial import (
    Trial,
    forget,
    go_on,
    kept_rounds,
    pack,
    run_trial,
)
from infaug.record.folder import RunFolder

from .cases import SMALL, sweep

SHORT = replace(CONFIG, rounds=replace(CONFIG.rounds, rounds=3, classifier_steps=4))
TRIAL = Trial(method="base_learned", seed=0, config=SHORT)


@pytest.fixture(scope="module")
def source():
    return load(CONFIG.data)


def trained(source, path: Path, trial: Trial = TRIAL) -> list[Progress]:
    told: list[Progress] = []
    run_trial(trial, without_test(source, trial.config.data), path, None, told.append)
    return told


def timeless(told: list[Progress]) -> list[Progress]:
    return [replace(each, seconds=0.0) for each in told]


@pytest.fixture(scope="module")
def finished(source, tmp_path_factory):
    home = tmp_path_factory.mktemp("trial") / "t00"
    return home, trained(source, home)


@pytest.mark.parametrize("seed", [0, 3])
def test_no_split_of_any_seed_holds_an_image_of_the_test(seed, source):
    unshifted = replace(CONFIG.data, shift=replace(CONFIG.data.shift, splits=()))
    held = as_set(images_of_test(source, unshifted).images)
    splits = divide(without_test(source, unshifted), unshifted, seed)
    assert len(held) > 400
    assert len(splits.test) == 0
    for split in (splits.train, splits.influence, splits.selection):
        assert not held & as_set(split.images)
    assert not held & as_set(splits.unlabelled)


def test_a_source_with_a_test_split_loses_that_alone(source):
    own = replace(source, test=source.train.select(torch.arange(5)))
    blind = without_test(own, CONFIG.data)
    assert len(blind.test) == 0
    assert len(blind.train) == len(own.train)


def test_every_round_is_reported_and_nothing_found_is_about_test(finished):
    home, told = finished
    assert [each.steps for each in told] == [4, 8, 12]
    assert all(each.loss > 0 and 0 <= each.top1 <= 100 for each in told)
    found = (home / "trainings" / "base_learned-seed0" / "result.json").read_text()
    assert "selection_loss" in found
    assert "test" not in found


def test_interrupted_between_two_rounds_it_ends_as_the_undisturbed_one(
    finished, source, tmp_path
):
    with interrupted_at("base_learned", 1, "classify", 2):
        trained(source, tmp_path / "t00")
    assert timeless(trained(source, tmp_path / "t00")) == timeless(finished[1])


def test_what_has_ended_is_said_again_without_training_or_networks(
    finished, source, tmp_path
):
    home = shutil.copytree(finished[0], tmp_path / "t")
    before = RunFolder(home).lines("timings.jsonl")
    assert list(home.rglob("*.safetensors"))
    forget(home)
    assert not list(home.rglob("*.safetensors"))
    assert timeless(trained(source, home)) == timeless(finished[1])
    assert RunFolder(home).lines("timings.jsonl") == before


GIVER = Trial(method="base_learned", seed=0, config=SMALL)
RATE = replace(SMALL.estimator, learning_rate=0.01)
TAKER = replace(GIVER, config=replace(SMALL, estimator=RATE))


@pytest.mark.slow
def test_trials_share_a_control_and_end_as_if_each_had_trained_its_own(
    source, tmp_path
):
    once = replace(SHORT, rounds=replace(SHORT.rounds, s_val="once"))
    plan = replace(sweep(tmp_path / "sweep"), config=once)
    assert plan.control is not None
    assert plan.control.control is None
    assert plan.control.how.method == "base"
    assert sweep(tmp_path).control is None, "E learns with F, and needs no other"
    control = Path(plan.control.home("control"))
    trained(source, control, plan.control.trial({}))

    changes = {"estimator.learning_rate": 0.01}
    trial = plan.trial(changes)
    assert trial.control == control
    alone = trained(source, tmp_path / "alone", replace(trial, control=None))
    shared = trained(source, tmp_path / "shared", trial)
    assert timeless(shared) == timeless(alone)
    weights = "trainings/base_learned-seed0/classifier.safetensors"
    first, second = (tmp_path / each / weights for each in ("alone", "shared"))
    assert first.read_bytes() == second.read_bytes()
    assert not (tmp_path / "shared/trainings/base-seed0/timings.jsonl").exists()

    # Another rate of F is another control.
    other = plan.trial({"classifier.learning_rate": 0.02})
    trained(source, tmp_path / "other", other)
    assert (tmp_path / "other/trainings/base-seed0/timings.jsonl").exists()


def test_the_taker_goes_on_from_a_copy_with_its_own_settings(tmp_path):
    source = without_test(load(CONFIG.data), CONFIG.data)
    trials, told = tmp_path / "trials", []
    trials.mkdir()

    def report(progress):
        told.append(progress)
        if len(told) == 2:
            pack(trials / "t00", tmp_path)
            raise SystemExit

    with pytest.raises(SystemExit):
        run_trial(GIVER, source, trials / "t00", None, report)
    run = tmp_path / "run"
    assert len(kept_rounds(RunFolder(run), GIVER)) == 2
    assert go_on(run, GIVER, trials, "t00") == "t00", "its own stays where it is"
    home = go_on(run, TAKER, trials, "t01")
    assert home == "t01.0"
    after = []
    run_trial(TAKER, source, trials / home, None, after.append)
    assert [(p.steps, p.loss) for p in after[:2]] == [(p.steps, p.loss) for p in told]
    assert [p.steps for p in after] == [3, 6, 9, 12]
    assert go_on(run, TAKER, trials, "t01") == "t01.1"

"""A run that is killed and started again ends as if nothing had happened."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from killed import contents, different, start, start_and_kill
from tiny import CONFIG, tiny, tiny_in_mode

from infaug.config import TuningConfig
from infaug.record.folder import RunFolder

pytestmark = pytest.mark.long

DOOMS = [
    ["base_learned", 0, "classify", 5],
    ["base_learned", 0, "refresh", 1],
    ["base_learned", 0, "estimate", 2],
    ["base_learned", 0, "review", 1],
    ["base_learned", 1, "classify", 1],
    ["pooled_learned", 0, "estimate", 4],
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "run"
    assert start(out, None) == 0
    return out


def test_a_run_killed_in_every_phase_ends_with_the_bytes_of_the_undisturbed_one(
    finished, tmp_path
):
    start_and_kill(tmp_path / "killed", DOOMS)
    assert different(finished, tmp_path / "killed") == []
    kept = contents(finished).keys()
    assert "trainings/base_learned-seed0/metrics.jsonl" in kept
    assert "trainings/pooled_learned-seed0/transform.safetensors" in kept


OTHERS = ("policy_alone", "base_tuned", "reweighted", "bilevel_learned")
OTHER_DOOMS = [  # in the order of the plan
    ["tuning-affine20", 0, "classify", 2],
    ["reweighted", 1, "classify", 5],
    ["bilevel_learned", 0, "estimate", 4],
    ["policy_online", 0, "estimate", 3],
    ["policy_alone", 0, "classify", 4],
]


def test_other_kinds_of_methods_that_are_killed_end_with_the_same_bytes(tmp_path):
    config = tiny(
        methods=OTHERS,
        classifier=replace(CONFIG.classifier, ema=0.9),
        tuning=TuningConfig(candidates=("affine:20", "affine:60")),
    )
    assert start(tmp_path / "undisturbed", None, config) == 0
    start_and_kill(tmp_path / "killed", OTHER_DOOMS, config)
    assert different(tmp_path / "undisturbed", tmp_path / "killed") == []
    kept = contents(tmp_path / "killed")
    assert "trainings/policy_online-seed0/policy.safetensors" in kept


@pytest.mark.slow
def test_a_killed_adversarial_fit_and_what_comes_before_round_one_resume_too(tmp_path):
    config = tiny_in_mode("cvpr", steps=5)
    assert start(tmp_path / "undisturbed", None, config) == 0
    dooms = [["generator", 0, "adversary", 4], ["base_learned", -1, "estimate", 4]]
    start_and_kill(tmp_path / "killed", dooms, config)
    assert different(tmp_path / "undisturbed", tmp_path / "killed") == []
    kept = contents(tmp_path / "killed")
    assert "trainings/generator-seed0/generator.safetensors" in kept


@pytest.mark.parametrize(
    "first",
    [None, pytest.param(["base", 1, "classify", 5], marks=pytest.mark.slow)],
)  # fmt: skip
def test_seeds_that_are_added_give_what_all_at_once_would_have(first, tmp_path):
    """To a finished run, and to one that was killed."""
    less = tiny(methods=("base",))
    more = replace(less, seeds=2)
    start(tmp_path / "grown", first, less)
    assert start(tmp_path / "grown", None, more) == 0
    assert start(tmp_path / "at once", None, more) == 0
    if first is None:
        seen = tmp_path / "grown" / "seen.json"
        assert json.loads(seen.read_text()) == [1]
        seen.unlink()
    assert different(tmp_path / "grown", tmp_path / "at once") == []
    assert "trainings/base-seed1/result.json" in contents(tmp_path / "grown")


def test_metrics_are_keyed_by_method_seed_round_phase_and_step_without_clock(finished):
    lines = RunFolder(finished).lines("metrics.jsonl")
    keys = [(m["method"], m["seed"], m["round"], m["phase"], m["step"]) for m in lines]
    assert len(set(keys)) == len(keys)
    assert {m["phase"] for m in lines} == {"classify", "refresh", "estimate", "review"}
    refresh = next(m for m in lines if m["phase"] == "refresh")
    assert refresh["residual"] <= 1e-3
    assert not any("second" in key for m in lines for key in m)


def test_a_finished_run_is_returned_and_not_trained_again(finished):
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*") if p.is_file()}
    assert start(finished, ["base_learned", 0, "classify", 1]) == 0
    after = {p: p.stat().st_mtime_ns for p in finished.rglob("*") if p.is_file()}
    del before[finished / "lock"], after[finished / "lock"]
    assert before == after

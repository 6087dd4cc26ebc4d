import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import tiny_in_mode

from infaug.config import RunConfig
from infaug.experiment.methods import methods_of
from infaug.experiment.run import run
from infaug.experiment.trainings import plan_trainings
from infaug.record.folder import RunFolder
from infaug.record.store import GeneratorStore


def quick(**adversarial) -> RunConfig:
    return tiny_in_mode("iclr", steps=2, **adversarial)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> tuple[Path, Path]:
    """The run folder of a first run, and of a second one that shares its cache."""
    place = tmp_path_factory.mktemp("runs")
    for name in ("first", "second"):
        run(quick(), place / name, cache=place / "cache", shown=False)
    return place / "first", place / "second"


def test_a_second_run_takes_g_from_the_cache_and_ends_with_the_same_weights(runs):
    phases = [{t["phase"] for t in RunFolder(r).lines("timings.jsonl")} for r in runs]
    assert "adversary" in phases[0]
    assert "adversary" not in phases[1]
    for training in ("generator-seed0", "base_learned-seed0", "pooled_learned-seed0"):
        for file in (runs[0] / "trainings" / training).glob("*.safetensors"):
            again = runs[1] / "trainings" / training / file.name
            assert file.read_bytes() == again.read_bytes()


def test_its_seconds_and_its_reach_stand_in_the_result_and_g_in_every_training(runs):
    result = json.loads((runs[0] / "result.json").read_text())
    assert result["seconds"]["adversary"] > 0
    (reach,) = result["generators"]
    assert {"inside", "flow_mse", "image_mse", "rotation_low"} <= reach.keys()
    store = GeneratorStore(runs[0].parent / "cache")
    assert len(list(store.path.iterdir())) == 1
    trainings = runs[0] / "trainings"
    fitted = load_file(trainings / "generator-seed0" / "generator.safetensors")
    assert all(torch.isfinite(v).all() for v in fitted.values())
    for method in ("base_learned", "pooled_learned"):
        used = load_file(trainings / f"{method}-seed0" / "transform.safetensors")
        assert all(v.equal(used[f"generator.{k}"]) for k, v in fitted.items())


def planned(config: RunConfig) -> list[str]:
    trainings = plan_trainings(config, methods_of(config), range(config.seeds))
    return [training.method.name for training in trainings]


def test_g_is_fitted_first_or_after_the_method_whose_features_a_critic_sees():
    iclr = planned(quick())
    assert iclr[0] == "generator"
    cvpr = planned(quick(fit="ragan"))
    assert cvpr[:2] == ["base", "generator"]

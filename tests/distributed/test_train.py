"""Several Ray workers do what one process does."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from killed import contents
from safetensors.torch import load_file
from tiny import CONFIG

from infaug.config import ClassifierConfig, DataConfig, RoundsConfig, RunConfig
from infaug.count_range import CountRange
from infaug.experiment.run import run
from infaug.record.folder import RunFolder
from infaug.record.mirror import LEASE, STAMP

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.ray

# Ten steps of F, then of E, then of F again, in float64.
TEN_STEPS = replace(
    CONFIG,
    classifier=ClassifierConfig(batch_size=8, batch_groups=4, precision="float64"),
    rounds=RoundsConfig(
        rounds=2, classifier_steps=10, estimator_steps=10, log_every_steps=1
    ),
    controls="none",
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    from infaug.distributed.local import start_here

    with pytest.MonkeyPatch.context() as patch:  # Workers have it from here.
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        start_here(num_cpus=4, log_to_driver=False)
        yield
        ray.shutdown()


@pytest.fixture(scope="module")
def both(cluster, tmp_path_factory) -> tuple[Path, Path]:
    """The same run in one process and on three workers, who share four groups."""
    from infaug.distributed.train import fit_on_workers

    root = tmp_path_factory.mktemp("both")
    run(TEN_STEPS, root / "one", shown=False)
    fit_on_workers(TEN_STEPS, root / "three", CountRange.of(3), shown=False)
    return root / "one", root / "three"


def lines(folder: Path) -> list[dict]:
    return RunFolder(folder).lines("metrics.jsonl")


def test_the_first_ten_steps_of_f_and_e_agree_to_1e_5_in_float64(both):
    one, three = (lines(folder) for folder in both)
    assert len(one) == len(three)
    for a, b in zip(one, three, strict=True):
        assert a.keys() == b.keys()
        for key, value in a.items():
            if isinstance(value, float):
                assert b[key] == pytest.approx(value, rel=1e-5, abs=1e-5), (a, key)


@pytest.mark.parametrize("part", ["classifier", "transform"])
def test_the_weights_after_them_agree_to_1e_5(both, part):
    one, three = (
        load_file(folder / "trainings" / "base_learned-seed0" / f"{part}.safetensors")
        for folder in both
    )
    for name, value in one.items():
        torch.testing.assert_close(
            three[name], value, atol=1e-5, rtol=1e-5, msg=f"{part} {name}"
        )


def test_workers_leave_the_same_files_as_one_process(both):
    one, three = (
        sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
        for folder in both
    )
    assert one == three


def test_a_finished_run_is_returned_without_training(both):
    from infaug.distributed.train import fit_on_workers

    before = (both[1] / "result.json").stat().st_mtime_ns
    result = fit_on_workers(TEN_STEPS, both[1], CountRange.of(2), shown=False)
    assert result == json.loads((both[1] / "result.json").read_text())
    assert (both[1] / "result.json").stat().st_mtime_ns == before


def test_a_users_mistake_in_a_worker_is_a_value_error_here(
    cluster, tmp_path, monkeypatch
):
    from infaug.distributed.train import fit_on_workers

    monkeypatch.chdir(tmp_path)  # A relative path means on workers what it means here.
    (tmp_path / "images").mkdir()
    config = RunConfig(data=DataConfig(source="images"))
    with pytest.raises(ValueError, match=r"data\.source images is empty"):
        fit_on_workers(config, tmp_path / "run", CountRange.of(2), shown=False)


def test_more_workers_than_groups_are_refused_at_once(tmp_path):
    from infaug.distributed.train import fit_on_workers

    workers = CountRange(min=2, max=5)
    with pytest.raises(ValueError, match=r"4 batch groups.*5 workers"):
        fit_on_workers(TEN_STEPS, tmp_path / "run", workers, shown=False)


def test_workers_that_come_and_go_are_not_given_a_pool_on_their_cpus(cluster, tmp_path):
    from infaug.distributed.pool_group import PoolShape
    from infaug.distributed.train import fit_on_workers

    workers = CountRange(min=1, max=2)
    with pytest.raises(ValueError, match=r"--pool-resources solver=1"):
        fit_on_workers(
            TEN_STEPS, tmp_path / "run", workers, pool=PoolShape(), shown=False
        )


def test_a_run_at_a_url_has_the_bytes_of_one_on_a_disk(both, tmp_path):
    from infaug.distributed.train import fit_on_workers

    home = tmp_path / "store" / "run"
    fit_on_workers(TEN_STEPS, home.as_uri(), CountRange.of(3), shown=False)
    there = {k: v for k, v in contents(home).items() if k not in (STAMP, LEASE)}
    assert there == contents(both[1])
    assert not (home / "ray").exists(), "what Ray kept there is gone"

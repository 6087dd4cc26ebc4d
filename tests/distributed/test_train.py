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
        start_here(num_cpus=3, log_to_driver=False)
        yield
        ray.shutdown()


@pytest.fixture(scope="module")
def both(cluster, tmp_path_factory) -> tuple[Path, Path]:
    """The same run in one process and on two workers, who share four groups."""
    from infaug.distributed.train import fit_on_workers

    root = tmp_path_factory.mktemp("both")
    run(TEN_STEPS, root / "one", shown=False)
    url = (root / "two").as_uri()
    fit_on_workers(TEN_STEPS, url, CountRange(min=2, max=2), shown=False)
    return root / "one", root / "two"


def lines(folder: Path) -> list[dict]:
    return RunFolder(folder).lines("metrics.jsonl")


def test_the_first_ten_steps_of_f_and_e_agree_to_1e_5_in_float64(both):
    one, two = (lines(folder) for folder in both)
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        for key, value in a.items():
            if isinstance(value, float):
                assert b[key] == pytest.approx(value, rel=1e-5, abs=1e-5), (a, key)


@pytest.mark.parametrize("part", ["classifier", "transform"])
def test_the_weights_after_them_agree_to_1e_5(both, part):
    one, two = (
        load_file(folder / "trainings" / "base_learned-seed0" / f"{part}.safetensors")
        for folder in both
    )
    for name, value in one.items():
        torch.testing.assert_close(
            two[name], value, atol=1e-5, rtol=1e-5, msg=f"{part} {name}"
        )


def test_workers_leave_at_a_url_the_files_that_one_process_leaves_on_a_disk(both):
    passing = ("lock", STAMP, LEASE)
    one, two = (
        {
            str(p.relative_to(folder))
            for p in folder.rglob("*")
            if p.is_file() and p.name not in passing
        }
        for folder in both
    )
    assert two == one
    assert not (both[1] / "ray").exists(), "what Ray kept there is gone"


def test_a_finished_run_is_returned_without_training(both):
    from infaug.distributed.train import fit_on_workers

    before = (both[1] / "result.json").stat().st_mtime_ns
    url = both[1].as_uri()
    result = fit_on_workers(TEN_STEPS, url, CountRange(min=3, max=3), shown=False)
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
        fit_on_workers(config, tmp_path / "run", CountRange(min=1, max=1), shown=False)


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


@pytest.mark.slow
def test_a_run_at_a_url_has_the_bytes_of_one_on_a_disk(both, tmp_path):
    from infaug.distributed.train import fit_on_workers

    fit_on_workers(TEN_STEPS, tmp_path / "run", CountRange(min=2, max=2), shown=False)
    there = {k: v for k, v in contents(both[1]).items() if k not in (STAMP, LEASE)}
    assert there == contents(tmp_path / "run")

"""Parquet shards written by Ray tasks are those written by one process."""

import os
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from archives import class_files, write_files

from infaug.config import PrepareConfig
from infaug.data.prepare import prepare

from .pool_cases import cluster

pytest.importorskip("ray")
pytestmark = pytest.mark.ray

FILES = class_files("cat", "dog", count=10) | {"cat/3.png": b"no image"}
CONFIG = PrepareConfig(rows_per_shard=4, max_bad_images=1)


@pytest.fixture(scope="module")
def ray():
    with cluster(2, object_store_memory=200_000_000) as ray:
        yield ray


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_any_number_of_workers_writes_the_same_bytes(ray, tmp_path):
    from infaug.distributed.tasks import write_on_ray

    source = write_files(tmp_path / "src", FILES)
    here = prepare(source, tmp_path / "here", CONFIG)
    for workers in (1, 2):
        out = tmp_path / str(workers)
        on_ray = prepare(
            source, out, CONFIG, write=partial(write_on_ray, at_a_time=workers)
        )
        assert contents(out) == contents(tmp_path / "here")
        assert replace(on_ray, seconds=here.seconds) == here


def dies_once(shard, marker: str):
    """The same shard; the first worker that takes an image of it is killed."""
    here = os.getpid()

    class Images(tuple):
        def __getitem__(self, row):
            if os.getpid() != here and not os.path.exists(marker):
                open(marker, "x").close()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().__getitem__(row)

    return replace(shard, images=Images(shard.images))


def test_a_killed_worker_makes_no_difference(ray, tmp_path):
    from infaug.distributed.tasks import write_on_ray

    source = write_files(tmp_path / "src", FILES)
    prepare(source, tmp_path / "calm", CONFIG)

    def write(shards, folder, note):
        doomed = dies_once(shards[1], str(tmp_path / "killed"))
        yield from write_on_ray(
            [shards[0], doomed, *shards[2:]], folder, note, at_a_time=2
        )

    prepare(source, tmp_path / "out", CONFIG, write=write)
    assert (tmp_path / "killed").exists()
    assert contents(tmp_path / "out") == contents(tmp_path / "calm")


def test_what_a_task_refuses_is_a_value_error_here(ray, tmp_path):
    from infaug.distributed.tasks import write_on_ray

    source = write_files(tmp_path / "src", FILES)

    def write(shards, folder, note):
        (source / "dog" / "0.png").write_bytes(b"changed")
        yield from write_on_ray(shards, folder, note, at_a_time=2)

    with pytest.raises(ValueError, match=r"dog/0\.png had \d+ bytes when listed"):
        prepare(source, tmp_path / "out", CONFIG, write=write)
    assert not list((tmp_path / "out").glob(".*.part"))

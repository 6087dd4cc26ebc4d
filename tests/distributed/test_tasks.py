"""What Ray's tasks compute, write and decode is what one process does."""

import os
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from archives import class_files, encoded, write_files
from tiny import CONFIG

from infaug.config import DataConfig, PrepareConfig
from infaug.data.on_disk import OnDisk
from infaug.data.prepare import prepare
from infaug.data.source import load
from infaug.data.stream import Stream
from infaug.experiment.table_plan import plan_table, ready
from infaug.experiment.table_training import run_table_training

from .pool_cases import cluster

pytest.importorskip("ray")
from infaug.distributed.ingest import load_by_ray, pays
from infaug.distributed.tasks import in_tasks, write_on_ray

pytestmark = pytest.mark.ray
ANOTHER = "192.0.2.1:6379"  # a Ray of the user's
FILES = class_files("cat", "dog", count=10) | {"cat/3.png": b"no image"}
PREPARE = PrepareConfig(rows_per_shard=4, max_bad_images=1)


@pytest.fixture(scope="module", autouse=True)
def ray():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", ANOTHER)
        with cluster(2) as ray:
            yield ray


def test_processes_of_a_ray_that_is_started_here_know_that_they_belong_to_it(ray):
    # Ray puts the machine's address in place of 127.0.0.1.
    port = ray.get_runtime_context().gcs_address.rpartition(":")[2]
    there = ray.get(ray.remote(lambda: os.environ["RAY_ADDRESS"]).remote())
    assert there == f"127.0.0.1:{port}"
    assert os.environ["RAY_ADDRESS"] == ANOTHER
    assert "RAY_GCS_SERVER_PORT" not in os.environ


def trained(methods: list[str], work: Path, config=CONFIG) -> dict[str, dict]:
    """What trainings on two workers found, by method as they ended, without times."""
    plan = plan_table([(config, method) for method in methods], 1)
    train = partial(run_table_training, work=work, places={}, shown=False)
    done = in_tasks(train, plan, at_a_time=2, ready=ready)
    return {training.method: timeless(record) for training, record in done}


def timeless(record: dict) -> dict:
    return {k: v for k, v in record.items() if "seconds" not in k}


def test_trainings_on_two_workers_equal_those_of_one_process_in_order_of_need(tmp_path):
    methods = ["base", "base_learned", "base_random_final"]
    on_ray = trained(methods, tmp_path / "two")
    for training in plan_table([(CONFIG, method) for method in methods], 1):
        here = run_table_training(training, tmp_path / "one", {}, shown=False)
        assert on_ray[training.method] == timeless(here)
    assert list(on_ray).index("base_learned") < list(on_ray).index("base_random_final")


def test_what_a_training_refuses_is_a_value_error_here(tmp_path):
    few = replace(CONFIG, data=replace(CONFIG.data, target=5))
    with pytest.raises(ValueError, match="`target` is too small"):
        trained(["base_learned"], tmp_path, few)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_two_workers_write_the_shards_of_one_though_one_is_killed(tmp_path):
    source = write_files(tmp_path / "src", FILES)
    here = prepare(source, tmp_path / "here", PREPARE)

    def write(shards, folder, note):
        doomed = dies_once(shards[1], str(tmp_path / "killed"))
        shards = [shards[0], doomed, *shards[2:]]
        yield from write_on_ray(shards, folder, note, at_a_time=2)

    on_ray = prepare(source, tmp_path / "out", PREPARE, write=write)
    assert (tmp_path / "killed").exists()
    assert contents(tmp_path / "out") == contents(tmp_path / "here")
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


def test_what_a_task_that_writes_refuses_is_a_value_error_here(tmp_path):
    source = write_files(tmp_path / "src", FILES)

    def write(shards, folder, note):
        (source / "dog" / "0.png").write_bytes(b"changed")
        yield from write_on_ray(shards, folder, note, at_a_time=2)

    with pytest.raises(ValueError, match=r"dog/0\.png had \d+ bytes when listed"):
        prepare(source, tmp_path / "out", PREPARE, write=write)
    assert not list((tmp_path / "out").glob(".*.part"))


def on_disk(path: Path, images: list[bytes], loader=None) -> OnDisk:
    """Images of two classes in row groups of three."""
    table = {"image": images, "label": [n % 2 for n in range(len(images))]}
    pq.write_table(pa.table(table), path, row_group_size=3)
    data = DataConfig(source=str(path), image_size=16, mode="RGB", stream_above_gib=0)
    stored = load(data, loader).train
    assert isinstance(stored, OnDisk)
    return stored


GPUS, CPUS = {"CPU": 96.0, "GPU": 8.0}, {"CPU": 64.0}


@pytest.mark.parametrize(
    ("nodes", "spare", "use_gpu", "expected"),
    [
        ([GPUS], 88, True, False),  # Threads have these CPUs without sending anything.
        ([GPUS, CPUS], 152, True, False),
        ([GPUS, CPUS, CPUS], 216, True, True),
        ([CPUS], 56, False, True),
        ([CPUS], 1, False, False),  # Eight would wait for what one CPU decodes.
    ],
)
def test_ray_data_decodes_where_it_has_more_cpus_than_threads(
    nodes, spare, use_gpu, expected
):
    assert pays(nodes, spare, 8, use_gpu=use_gpu) == expected


def test_a_stream_through_ray_data_has_the_bytes_of_threads(tmp_path):
    images = [encoded(n, size=(24, 20)) for n in range(60)]
    here, there = (
        Stream(stored, 8, 2, range(2), "cpu", ("random", "centre"), 0, "t")
        for stored in (
            on_disk(tmp_path / "a.parquet", images),
            on_disk(tmp_path / "a.parquet", images, load_by_ray),
        )
    )
    for step in (0, 1, 9):  # goes on, and begins anew
        ours, theirs = here.at(step), there.at(step)
        assert theirs.x.equal(ours.x)
        assert theirs.y.equal(ours.y)


def test_an_image_that_cannot_be_read_is_told_by_its_row(tmp_path):
    images = [encoded(0)] * 5 + [b"broken"]
    stored = on_disk(tmp_path / "a.parquet", images, load_by_ray)
    with pytest.raises(ValueError, match=r"a\.parquet row 5 cannot be read"):
        stored.select(torch.arange(6))
    assert len(stored.select(torch.arange(5))) == 5

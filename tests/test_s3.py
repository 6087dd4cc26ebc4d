"""A real S3 server: data are read from it and a killed run goes on from it."""

import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from archives import class_files, write_files
from killed import different, start
from pyarrow import fs
from tiny import tiny

from infaug.config import DataConfig, PrepareConfig
from infaug.data.prepare import prepare
from infaug.data.source import load
from infaug.record.folder import RunFolder
from infaug.record.lease import DEAD_AFTER_S
from infaug.storage import location
from infaug.transfer import put

pytestmark = pytest.mark.slow

CONFIG = tiny(methods=("base_learned",))


@pytest.fixture(scope="module")
def query(tmp_path_factory):
    """The options of a URL that reach a server with one bucket, `bucket`."""
    pytest.importorskip("moto.server", reason="needs the extra `storage`")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = (tmp_path_factory.mktemp("moto") / "log").open("w")
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    server = subprocess.Popen(command, stdout=log, stderr=log)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "for-tests")
        try:
            await_port(port)
            options = f"endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"
            store = fs.S3FileSystem(
                endpoint_override=f"127.0.0.1:{port}",
                scheme="http",
                region="us-east-1",
                request_timeout=60,  # a server begins slowly
                allow_bucket_creation=True,
            )
            store.create_dir("bucket")
            yield options
        finally:
            server.kill()
            server.wait()


def await_port(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the server did not start")


def test_shards_on_s3_are_those_of_the_disk_in_memory_and_streamed(query, tmp_path):
    source = write_files(tmp_path / "folders", class_files("cat", "dog", count=20))
    prepare(source, tmp_path / "shards", PrepareConfig(rows_per_shard=10))
    for kind in ("shards", "folders"):
        for file in (f for f in (tmp_path / kind).rglob("*") if f.is_file()):
            name = file.relative_to(tmp_path).as_posix()
            put(file, location(f"s3://bucket/my set?{query}") / name)
        for above in (0, 4):
            config = DataConfig(source="", image_size=8, stream_above_gib=above)
            config = replace(config, mode="RGB")
            url = f"s3://bucket/my set/{kind}?{query}"
            ours = load(replace(config, source=url)).train
            theirs = load(replace(config, source=str(tmp_path / kind))).train
            if above == 0 and kind == "shards":
                ours, theirs = ours.select_all(), theirs.select_all()
            assert ours.checksum == theirs.checksum


def test_a_bucket_that_does_not_exist_is_named(query, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"s3://nobucket/set' was not found"):
        load(DataConfig(source=f"s3://nobucket/set?{query}"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = RunFolder(f"s3://nobucket/run?{query}")
    folder.enter(CONFIG)
    with (
        pytest.raises(ValueError, match=r"s3://nobucket/run.* cannot .*NO_SUCH_BUCKET"),
        folder.locked(),
    ):
        pass


def test_a_run_that_is_killed_goes_on_on_another_machine_to_the_same_bytes(
    query, tmp_path, monkeypatch
):
    url = f"s3://bucket/runs/one?{query}"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert start(tmp_path / "undisturbed", None, CONFIG) == 0
    assert start(url, ["base_learned", 0, "estimate", 4], CONFIG) == -9
    began = time.monotonic()
    assert start(url, ["base_learned", 1, "classify", 4], CONFIG) == -9
    assert time.monotonic() - began < DEAD_AFTER_S, "this machine knows its own dead"
    shutil.rmtree(tmp_path / "cache")
    assert start(url, None, CONFIG) == 0
    folder = RunFolder(url)
    assert different(tmp_path / "undisturbed", folder.path) == []
    shutil.rmtree(tmp_path / "cache")
    folder.mirror.bring()
    assert different(tmp_path / "undisturbed", folder.path) == []
    assert not list(folder.path.glob("trainings/*/checkpoints"))

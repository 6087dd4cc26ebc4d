"""Images are read from an object store as from a disk, or an error says why not."""

import pickle
import shutil
import socket
import time

import fsspec
import pytest
import torch
from archives import class_files, write_files

from infaug import storage
from infaug.config import DataConfig, PrepareConfig
from infaug.data.on_disk import OnDisk
from infaug.data.prepare import prepare
from infaug.data.source import load
from infaug.data.stream import Stream

FILES = class_files("cat", "dog", count=20)


@pytest.fixture
def here(tmp_path):
    """Forty images as class folders, and as four shards of Parquet."""
    source = write_files(tmp_path / "folders", FILES)
    prepare(source, tmp_path / "shards", PrepareConfig(rows_per_shard=10))
    return tmp_path


@pytest.fixture(params=["memory", "file"])
def there(here, request):
    """The URL of a copy of that."""
    if request.param == "file":
        yield f"file://{here}"
        return
    store = fsspec.filesystem("memory")
    store.put(str(here) + "/", "/bucket/", recursive=True)
    yield "memory://bucket"
    store.rm("/bucket", recursive=True)


@pytest.fixture
def s3(monkeypatch):
    """Credentials, so that nobody looks for them on the network."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "for-tests")
    monkeypatch.setattr(storage, "TRIES", 1)
    return "s3://bucket/set?region=us-east-1&scheme=http&endpoint_override="


@pytest.mark.parametrize("kind", ["shards", "folders"])
def test_a_url_gives_the_images_that_the_disk_gives(here, there, kind):
    config = {"image_size": 8, "mode": "RGB"}
    ours = load(DataConfig(source=f"{there}/{kind}", **config)).train
    theirs = load(DataConfig(source=str(here / kind), **config)).train
    assert ours.images.equal(theirs.images)
    assert ours.labels.equal(theirs.labels)
    assert ours.class_names == theirs.class_names


def stored(source) -> OnDisk:
    config = DataConfig(source=source, image_size=8, stream_above_gib=0)
    found = load(config).train
    assert isinstance(found, OnDisk)
    return found


def test_a_url_streams_the_batches_that_the_disk_streams(here, there):
    ours, theirs = stored(f"{there}/shards"), stored(str(here / "shards"))
    assert ours.checksum == theirs.checksum
    batches = [
        Stream(each, 4, 2, range(2), "cpu", ("random",), 0, "t")
        for each in (ours, theirs)
    ]
    for step in (0, 1, 7):
        x, x_here = (each.at(step).x for each in batches)
        assert x.equal(x_here)


def test_what_travels_to_another_process_is_the_address(here):
    reader = stored(f"file://{here}/shards").reader
    sent = pickle.dumps(reader)
    assert b"FileSystem" not in sent
    arrived = pickle.loads(sent).items([3], [0])
    assert arrived == reader.items([3], [0])


def test_a_missing_shard_of_a_url_is_named(here, there):
    store, path = fsspec.core.url_to_fs(f"{there}/shards/train-00001.parquet")
    store.rm(path)
    with pytest.raises(ValueError, match=r"://.*/shards lacks train-00001\.parquet"):
        load(DataConfig(source=f"{there}/shards"))


def test_a_url_without_anything_is_told_as_a_missing_folder_is(there):
    with pytest.raises(ValueError, match=r"://.*/nothing' was not found"):
        load(DataConfig(source=f"{there}/nothing"))


def test_storage_that_is_not_there_is_an_error_within_seconds(s3):
    began = time.monotonic()
    with pytest.raises(
        ValueError,
        match=r"s3://bucket/set cannot be reached .*NETWORK.*credentials.*same command",
    ):
        load(DataConfig(source=f"{s3}127.0.0.1:1"))
    assert time.monotonic() - began < 20


def test_storage_that_never_answers_is_an_error_too(s3, monkeypatch):
    monkeypatch.setattr(storage, "SILENT_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(ValueError, match=r"s3://bucket/set cannot .*Timeout"):
            load(DataConfig(source=f"{s3}127.0.0.1:{port}"))


def test_storage_that_goes_away_while_images_are_streamed_is_told(here, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(here / "shards", copy)
    images = stored(f"file://{copy}")
    shutil.rmtree(copy)
    with pytest.raises(
        ValueError, match=r"file://.*parquet cannot be read .*same command continues"
    ):
        images.select(torch.tensor([0]))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("s3://bucket/set?endpoint=x", r"no option 'endpoint'.*endpoint_override"),
        ("s3://key:secret@bucket/set", "takes no credentials in the address"),
        ("nosuch://bucket/set", r"nosuch://bucket/set .*nosuch"),
    ],
)
def test_an_address_that_cannot_work_says_what_to_write_instead(url, why):
    with pytest.raises(ValueError, match=why):
        load(DataConfig(source=url))

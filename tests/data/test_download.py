"""Writing Parquet, and downloads, with a fake in place of torchvision's data sets."""

import json
from urllib.error import URLError

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from reading import encoded, flat
from torchvision import datasets

from infaug.config import DataConfig
from infaug.data.download import DOMAINS, download, write_parquet
from infaug.data.source import load


class Fake:
    """Ten images of two classes: the n-th has value n, and class n mod 2."""

    classes = ("0 - zero", "1 - one")

    def __init__(self, broken=False):
        self.broken = broken

    def __len__(self):
        return 10

    def __getitem__(self, index):
        if self.broken and index == 9:
            raise RuntimeError("the disk broke")
        return flat(index), index % 2


def test_written_parquet_is_read_back(tmp_path):
    path = tmp_path / "new" / "all.parquet"
    write_parquet(Fake(), path, ("even", "odd"))
    train = load(DataConfig(source=str(path))).train
    values = train.images[:, 0, 0, 0]
    assert sorted(values.tolist()) == list(range(10))
    assert train.labels.equal((values % 2).long())
    assert train.class_names == ("even", "odd")
    assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"


def test_rows_are_shuffled_the_same_way_every_time(tmp_path):
    for name in ("a", "b"):
        write_parquet(Fake(), tmp_path / f"{name}.parquet", ("even", "odd"))
    a, b = ((tmp_path / f"{name}.parquet").read_bytes() for name in ("a", "b"))
    assert a == b
    labels = pq.read_table(tmp_path / "a.parquet")["label"].to_pylist()
    assert labels != [0, 1] * 5


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="the disk broke"):
        write_parquet(Fake(broken=True), tmp_path / "a.parquet", ("a", "b"))
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_not_overwritten(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"precious")
    with pytest.raises(ValueError, match=r"a\.parquet exists already: remove it"):
        write_parquet(Fake(), tmp_path / "a.parquet", ("a", "b"))
    assert (tmp_path / "a.parquet").read_bytes() == b"precious"


def test_a_prepared_data_set_has_both_splits(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "MNIST", lambda *_, **__: Fake())
    download("mnist", tmp_path / "out", tmp_path / "download")
    source = load(DataConfig(source=str(tmp_path / "out")))
    assert len(source.train) == len(source.test) == 10
    assert source.train.class_names == ("0", "1")


def test_prepare_refuses_to_overwrite_before_it_downloads(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "MNIST", None)
    (tmp_path / "test.parquet").write_bytes(b"precious")
    with pytest.raises(ValueError, match=r"test\.parquet exists already"):
        download("mnist", tmp_path, tmp_path / "download")


@pytest.mark.parametrize("error", [URLError("no route"), RuntimeError("no mirror")])
def test_without_a_network_prepare_says_what_to_do(tmp_path, monkeypatch, error):
    def offline(*args, **kwargs):
        raise error

    monkeypatch.setattr(datasets, "CIFAR10", offline)
    with pytest.raises(ValueError, match=r"needs the network\. Without it, .*copy"):
        download("cifar10", tmp_path / "out", tmp_path / "download")
    assert not (tmp_path / "out").exists()


def fake_pacs(path):
    """As on the Hub: 15 images of each of two classes in each of four domains."""
    rows = [(d, k % 2, 30 * i + k) for i, d in enumerate(DOMAINS) for k in range(30)]
    domains, labels, values = zip(*rows, strict=True)
    images = [{"bytes": encoded(flat(value)), "path": "1.jpg"} for value in values]
    table = pa.table({"image": images, "domain": domains, "label": labels})
    feature = {"names": ["dog", "house"], "_type": "ClassLabel"}
    about = {"info": {"features": {"label": feature}}}
    path.parent.mkdir(parents=True)
    table = table.replace_schema_metadata({"huggingface": json.dumps(about)})
    pq.write_table(table, path)


def test_pacs_has_few_and_other_images_of_each_domain(tmp_path):
    fake_pacs(tmp_path / "downloads/pacs.parquet")
    files = download("pacs", tmp_path / "out", tmp_path / "downloads")
    assert len(files) == 8
    for k, domain in enumerate(DOMAINS):
        rest, few = (
            load(DataConfig(source=str(tmp_path / f"out/{domain}{end}.parquet"))).train
            for end in ("", "-few")
        )
        assert few.class_names == ("dog", "house")
        assert few.labels.bincount().tolist() == [12, 12]
        values = torch.cat([few.images, rest.images])[:, 0, 0, 0].tolist()
        assert sorted(values) == list(range(30 * k, 30 * k + 30))


def test_pacs_without_a_network_says_what_to_do(tmp_path, monkeypatch):
    def offline(url, *args, **kwargs):
        assert url.startswith("https://huggingface.co/datasets/flwrlabs/pacs/")
        raise URLError("no route")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(ValueError, match=r"pacs could not be .* needs the network\."):
        download("pacs", tmp_path / "out", tmp_path / "downloads")
    assert not (tmp_path / "out").exists()

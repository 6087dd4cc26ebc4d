"""Ray Data decodes what threads of one process do."""

from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from infaug.config import DataConfig
from infaug.data.on_disk import OnDisk
from infaug.data.source import load
from infaug.data.stream import Stream

from .pool_cases import cluster

pytest.importorskip("ray")
from infaug.distributed.ingest import load_by_ray

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module", autouse=True)
def ray():
    with cluster() as ray:
        yield ray


def write(path, images: list[bytes]) -> DataConfig:
    """Images of two classes in row groups of three; and how to stream them."""
    table = {"image": images, "label": [n % 2 for n in range(len(images))]}
    pq.write_table(pa.table(table), path, row_group_size=3)
    return DataConfig(source=str(path), image_size=16, mode="RGB", stream_above_gib=0)


def png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def stream(config, loader=None) -> Stream:
    stored = load(config, loader).train
    assert isinstance(stored, OnDisk)
    return Stream(stored, 8, 2, range(2), "cpu", ("random", "centre"), 0, "t")


def test_a_stream_through_ray_data_has_the_bytes_of_threads(tmp_path):
    gradient = Image.linear_gradient("L").resize((24, 20))
    images = [png(gradient.rotate(5 * n)) for n in range(60)]
    config = write(tmp_path / "a.parquet", images)
    here, there = stream(config), stream(config, load_by_ray)
    for step in (0, 1, 9):  # goes on, and begins anew
        ours, theirs = here.at(step), there.at(step)
        assert theirs.x.equal(ours.x)
        assert theirs.y.equal(ours.y)


def test_an_image_that_cannot_be_read_is_told_by_its_row(tmp_path):
    whole = png(Image.new("RGB", (9, 9)))
    broken = write(tmp_path / "a.parquet", [whole] * 5 + [b"broken"])
    stored = load(broken, load_by_ray).train
    assert isinstance(stored, OnDisk)
    with pytest.raises(ValueError, match=r"a\.parquet row 5 cannot be read"):
        stored.select(torch.arange(6))
    assert len(stored.select(torch.arange(5))) == 5

"""The images of tables' problems: where they lie, and how they are read."""

import pytest
from archives import class_files, write_files

from infaug.config import DataConfig, PrepareConfig
from infaug.data.on_disk import OnDisk
from infaug.data.prepare import prepare
from infaug.experiment.grid_images import images_of


@pytest.fixture
def pets(tmp_path):
    """A prepared set of 24 images of two classes, for the name it is known by."""
    files = write_files(tmp_path / "src", class_files("cat", "dog", count=12))
    prepare(files, tmp_path / "set", PrepareConfig())
    return {"pets": str(tmp_path / "set")}


def test_images_that_are_to_be_streamed_are(pets):
    small = DataConfig(source="pets", image_size=8)
    assert not isinstance(images_of(small, pets, {}).train, OnDisk)
    streamed = DataConfig(source="pets", image_size=8, stream_above_gib=0.0)
    assert isinstance(images_of(streamed, pets, {}).train, OnDisk)


def test_a_target_is_found_by_a_process_that_works_elsewhere(
    pets, tmp_path, monkeypatch
):
    """Even one that is called like another problem's data."""
    write_files(tmp_path / "pets", class_files("cat", "dog", count=5, above="new/"))
    data = DataConfig(source="pets", target_source="pets", image_size=8)
    targets = {"pets": str(tmp_path / "pets" / "new")}
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    source = images_of(data, pets, targets)
    assert source.target is not None
    assert (len(source.train), len(source.target)) == (24, 10)

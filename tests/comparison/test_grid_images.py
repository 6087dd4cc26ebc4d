"""The images of tables' problems: where they lie, and how they are read."""

import pytest
from archives import class_files, write_files

from infaug.comparison.grid_images import images_of
from infaug.config import DataConfig, PrepareConfig
from infaug.data.prepare import prepare
from infaug.data.stored import Stored


@pytest.fixture
def pets(tmp_path):
    """A prepared set of 24 images of two classes, for the name it is known by."""
    files = write_files(tmp_path / "src", class_files("cat", "dog", count=12))
    prepare(files, tmp_path / "set", PrepareConfig())
    return {"pets": str(tmp_path / "set")}


def test_images_that_are_to_be_streamed_are(pets):
    small = DataConfig(source="pets", image_size=8)
    assert not isinstance(images_of(small, pets).train, Stored)
    streamed = DataConfig(source="pets", image_size=8, stream_above_gib=0.0)
    assert isinstance(images_of(streamed, pets).train, Stored)

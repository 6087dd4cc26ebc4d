"""Tiny image files, written where a test asks."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archives import write_files
from PIL import Image
from reading import encoded, flat


@pytest.fixture
def noise_png():
    """Bytes of a PNG that does not compress, so that cutting it truncates pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    return encoded(Image.fromarray(pixels))


@pytest.fixture
def write_rows():
    """Write a Parquet file: images (PIL, bytes or None) and labels, one row each."""

    def write(path, labels, images=None, *, names=None):
        images = [flat(i) for i in range(len(labels))] if images is None else images
        cells = [encoded(i) if isinstance(i, Image.Image) else i for i in images]
        table = pa.table({"image": pa.array(cells, pa.binary()), "label": labels})
        if names is not None:
            text = names if isinstance(names, str) else json.dumps(names)
            table = table.replace_schema_metadata({"class_names": text})
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, row_group_size=3)
        return str(path)

    return write


@pytest.fixture
def write_images():
    """Write image files under a folder, from {relative path: image or bytes}."""

    def write(root, files):
        contents = {
            name: encoded(image) if isinstance(image, Image.Image) else image
            for name, image in files.items()
        }
        return str(write_files(root, contents))

    return write


@pytest.fixture
def image():
    """A flat image of one value."""
    return flat


@pytest.fixture
def animals(tmp_path, write_images):
    """Class folders cat, dog and frog, four images each."""
    names = [f"{name}/{k}.png" for name in ("cat", "dog", "frog") for k in range(4)]
    return write_images(tmp_path / "data", {n: flat(k) for k, n in enumerate(names)})

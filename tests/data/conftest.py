"""Tiny image files, written where a test asks."""

import numpy as np
import pytest
from PIL import Image
from reading import encoded, flat, write_images


@pytest.fixture
def noise_png():
    """Bytes of a PNG that does not compress, so that cutting it truncates pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    return encoded(Image.fromarray(pixels))


@pytest.fixture
def animals(tmp_path):
    """Class folders cat, dog and frog, four images each."""
    names = [f"{name}/{k}.png" for name in ("cat", "dog", "frog") for k in range(4)]
    return write_images(tmp_path / "data", {n: flat(k) for k, n in enumerate(names)})

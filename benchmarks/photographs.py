"""What do listing, surveying and reading of photographs take, in seconds and memory?

    python benchmarks/photographs.py            # 10,000 photographs of 500 px
    python benchmarks/photographs.py --json     # one line

Fifty distinct JPEGs stand for the set, each linked many times under names of its own,
so that decoding is real and the disk is not the limit. Peak memory is what each part
adds to the process. Read: decoded to `image_size` by one thread, as `--plan` and `fit`
do before anything is trained.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from memory import forget_peak, peak, resident
from PIL import Image

from infaug.config import DataConfig
from infaug.data.inspection import inspect
from infaug.data.listing import listed
from infaug.data.source import load
from infaug.data.survey import resolve_images

CLASSES, DISTINCT = 10, 50


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured."""

    images: int = 10_000
    side: int = 500
    """Of each photograph, pixels."""
    image_size: int = 32
    json: bool = False
    """Print one line of JSON and nothing else."""


def write(folder: Path, settings: Settings) -> None:
    """Photographs in class folders: smooth noise, which JPEG packs like a picture."""
    draws = np.random.default_rng(0)
    for number in range(settings.images):
        first = folder / f"{number % DISTINCT % CLASSES}" / f"{number % DISTINCT}.jpg"
        if number < DISTINCT:
            first.parent.mkdir(exist_ok=True)
            coarse = draws.integers(0, 256, (60, 60, 3), dtype=np.uint8)
            image = Image.fromarray(coarse).resize((settings.side, settings.side))
            image.save(first, quality=90)
        else:
            os.link(first, first.with_stem(str(number)))


def measured(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What it gives, its seconds, and the MiB that it adds at most."""
    before = resident()
    forget_peak()
    began = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - began
    return found, {"seconds": seconds, "MiB": (peak() - before) / 2**20}


def main(settings: Settings) -> None:
    """Print a line for each part."""
    parts = {}
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), settings)
        config = DataConfig(source=folder, image_size=settings.image_size, mode="RGB")
        unsized = replace(config, image_size=None, mode="auto")
        _, parts["list"] = measured(
            lambda: list(listed(folder, config)["train"].items())
        )
        _, parts["survey"] = measured(lambda: resolve_images(unsized))
        source, parts["read"] = measured(lambda: load(config))
        kept = replace(config, drop_duplicates=False)  # each picture is there 200 times
        _, parts["inspect"] = measured(lambda: inspect(source, kept))
    if settings.json:
        print(json.dumps(parts))
        return
    for name, part in parts.items():
        print(f"{name:8} {part['seconds']:7.2f} s  {part['MiB']:7.1f} MiB")


if __name__ == "__main__":
    main(tyro.cli(Settings))

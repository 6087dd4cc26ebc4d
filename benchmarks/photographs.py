"""What do photographs take, in seconds and memory: listing, plan, frozen features?

    python benchmarks/photographs.py            # 10,000 photographs of 500 px
    python benchmarks/photographs.py --json     # one line

Fifty distinct JPEGs stand for the set, each linked many times under names of its own,
so that decoding is real and the disk is not the limit. Peak memory is what each part
adds to the process. `--plan` is survey, read (decoded to `image_size` by one thread),
inspect and pace (some steps are timed); `fit` begins with the first three.

Features are those of a body that is frozen as a whole, EfficientNet-Lite0's, of
`frozen_views` draws of each image, as a run computes and keeps them. The bare loop is
timm's network on batches of as many images, in memory: on a CPU larger batches are
slower. They take turns, with as many threads.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from memory import forget_peak, peak, resident
from PIL import Image

from infaug.classify.backbone import begin_backbone, build_backbone
from infaug.classify.weights import LITE0, import_timm
from infaug.config import ClassifierConfig, DataConfig, RunConfig
from infaug.data.dataset import Labelled, to_float
from infaug.data.inspection import inspect
from infaug.data.listing import listed
from infaug.data.problem import divide
from infaug.data.source import Source, load
from infaug.data.survey import resolve_images
from infaug.experiment.pace import measure
from infaug.experiment.plan import resolve_config
from infaug.training.activations import Activations

CLASSES, DISTINCT = 10, 50


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured."""

    images: int = 10_000
    side: int = 500
    """Of each photograph, pixels."""
    image_size: int = 128
    featured: int = 512
    """Images whose features are computed; 0: none."""
    threads: int = 1
    """Of torch."""
    json: bool = False
    """Print one line of JSON and nothing else."""


def write(folder: Path, settings: Settings) -> None:
    """Photographs in class folders: smooth noise, which JPEG packs like a picture."""
    rng = np.random.default_rng(0)
    for number in range(settings.images):
        first = folder / f"{number % DISTINCT % CLASSES}" / f"{number % DISTINCT}.jpg"
        if number < DISTINCT:
            first.parent.mkdir(exist_ok=True)
            coarse = rng.integers(0, 256, (60, 60, 3), dtype=np.uint8)
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


TURNS = 8


def noise(num: int, size: int) -> Labelled:
    """Images no two of which are alike: features of copies would be computed once."""
    images = torch.randint(256, (num, 3, size, size), dtype=torch.uint8)
    names = tuple(map(str, range(CLASSES)))
    return Labelled(images, torch.arange(num) % CLASSES, names)


def features(images: Labelled, folder: Path, threads: int) -> dict[str, float]:
    """Images a second and core of both, and the median of paired ratios."""
    frozen = ClassifierConfig(network=LITE0, weights="default", freeze="body")
    classifier = build_backbone(LITE0, images.num_classes, 0).eval()
    begin_backbone(classifier, frozen)
    bare = import_timm().create_model("tf_efficientnet_lite0", num_classes=0).eval()
    num_draws, seconds = frozen.frozen_views, list[tuple[float, float]]()
    for turn, at in enumerate(torch.arange(len(images)).chunk(TURNS)):
        part = images.select(at)
        began = time.perf_counter()
        Activations(
            classifier, [(f"{turn}", lambda x, rng: x)], [part],
            num_draws=num_draws, folder=folder, precision="float32",
        )  # fmt: skip
        middle = time.perf_counter()
        with torch.no_grad():
            for x in part.images.repeat(num_draws, 1, 1, 1).split(num_draws):
                bare((to_float(x) - 0.5) / 0.5)
        seconds.append((middle - began, time.perf_counter() - middle))
    ours, theirs = (sum(each) for each in zip(*seconds, strict=True))
    num = num_draws * len(images) / threads
    ratio = statistics.median(loop / own for own, loop in seconds)
    return {"infaug": num / ours, "bare": num / theirs, "ratio": ratio}


def paced(source: Source, config: DataConfig) -> None:
    """Time a few steps of a pretrained network, as `--plan` does."""
    classifier = ClassifierConfig(network=LITE0, weights="default")
    requested = RunConfig(data=config, classifier=classifier, methods=("pooled",))
    device = torch.device("cpu")
    resolved = resolve_config(requested, source.train.image_shape, device)
    measure(resolved, divide(source, resolved.data), device)


def main(settings: Settings) -> None:
    """Print a line for each part."""
    torch.set_num_threads(settings.threads)
    parts: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        photos, kept = Path(folder) / "photos", Path(folder) / "activations"
        photos.mkdir()
        write(photos, settings)
        config = DataConfig(
            source=str(photos), image_size=settings.image_size, mode="RGB",
            drop_duplicates=False,  # Each picture is there 200 times.
        )  # fmt: skip
        unsized = replace(config, image_size=None, mode="auto")
        _, parts["list"] = measured(
            lambda: list(listed(str(photos), config)["train"].items())
        )
        _, parts["survey"] = measured(lambda: resolve_images(unsized))
        source, parts["read"] = measured(lambda: load(config))
        _, parts["inspect"] = measured(lambda: inspect(source, config))
        _, parts["pace"] = measured(lambda: paced(source, config))
        if settings.featured:
            some = noise(settings.featured, settings.image_size)
            rates, parts["features"] = measured(
                lambda: features(some, kept, settings.threads)
            )
            parts["features"] |= rates
    if settings.json:
        print(json.dumps(parts))
        return
    for name, part in parts.items():
        print(f"{name:8} {part['seconds']:7.2f} s  {part['MiB']:7.1f} MiB")
    if settings.featured:
        found = parts["features"]
        print(
            f"images a second and core: {found['infaug']:.1f}, a bare timm loop "
            f"{found['bare']:.1f}: {found['ratio']:.2f} of it"
        )


if __name__ == "__main__":
    main(tyro.cli(Settings))

"""How fast does a stream decode, against a bare loop and against torchvision?

    python benchmarks/ingest.py FOLDER_OF_PARQUET            # table
    python benchmarks/ingest.py FOLDER_OF_PARQUET --json     # one line
    python benchmarks/ingest.py --stub                       # counted; see below

224x224 training crops per second and core, of the same images: a bare loop of decode
and random-resized crop, in a process for each core at once; infaug's stream with as
many threads as cores; torchvision's ImageFolder and DataLoader with as many worker
processes as cores. They take turns; steady state is timed, from the second batch on,
and the time to the first batch apart. Then memory: what a process that streams the set,
repeated until it is `memory_gib` large when decoded, needs beyond its imports.
"""

import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import get_args

import pyarrow as pa
import pyarrow.parquet as pq
import torch
import tyro
from ingest_share import Layout, shares
from ingest_stub import FIRST_STEPS, waits
from memory import forget_peak, peak, resident
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import datasets
from torchvision.transforms import v2

from infaug.config import DataConfig
from infaug.data.dataset import to_float
from infaug.data.on_disk import OnDisk
from infaug.data.source import load
from infaug.data.stream import Stream

SIZE, BATCH = 224, 64


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is timed."""

    source: tyro.conf.Positional[Path | None] = None
    """Folder of Parquet, such as `infaug data prepare` writes."""
    stub: bool = False
    """Without images: count what starts read, `ingest_share`; time a decoder that
    sleeps, `ingest_stub`."""
    images: int = 2000
    """Crops in each turn; the set is gone through again as often as needed."""
    repeats: int = 5
    """Turns that each takes; medians."""
    memory_gib: float = 4.0
    """Size of the repeated set, decoded."""
    json: bool = False
    """Print one line of JSON and nothing else."""


def encoded_images(source: Path) -> list[bytes]:
    """The bytes of all images of a folder."""
    tables = [
        pq.read_table(file, columns=["image"]) for file in source.glob("*.parquet")
    ]
    return pa.concat_tables(tables).column(0).to_pylist()


def bare(images: list[bytes], cores: int) -> Iterator[int]:
    """Decode and crop, nothing else: crops done, a batch of each process at a time."""
    with ProcessPoolExecutor(cores, get_context("fork")) as pool:
        parts = [images[core::cores] for core in range(cores)]
        waiting = [pool.submit(bare_loop, part) for part in parts for _ in range(4)]
        while True:
            yield waiting.pop(0).result()
            part = parts[len(waiting) % cores]
            waiting.append(pool.submit(bare_loop, part))


def bare_loop(images: list[bytes]) -> int:
    """One batch of it."""
    crop = v2.RandomResizedCrop(SIZE, antialias=True)
    batch = []
    for encoded in images[:BATCH]:
        with Image.open(io.BytesIO(encoded)) as image:
            batch.append(v2.functional.pil_to_tensor(crop(image.convert("RGB"))))
    return len(to_float(torch.stack(batch)))


def streamed(config: DataConfig) -> Iterator[int]:
    """Our stream, one crop of each image."""
    train = load(config).train
    assert isinstance(train, OnDisk), "nothing fits into 0 GiB"
    batches = Stream(train, BATCH, 1, range(1), "cpu", ("random",), 0, "benchmark")
    step = 0
    while True:
        yield len(batches.at(step).x)
        step += 1


def torchvision_loader(folder: Path, cores: int) -> Iterator[int]:
    """ImageFolder and DataLoader, the usual way."""
    transform = v2.Compose(
        [v2.RandomResizedCrop(SIZE, antialias=True), v2.RandomHorizontalFlip(),
         v2.PILToTensor()]
    )  # fmt: skip
    data = datasets.ImageFolder(str(folder), transform)
    while True:
        for x, _ in DataLoader(
            data, BATCH, shuffle=True, num_workers=cores, drop_last=True
        ):
            yield len(to_float(x))


def timed(batches: Iterator[int], images: int) -> tuple[float, float]:
    """Seconds to the first batch; crops per second from then on."""
    began = time.perf_counter()
    next(batches)
    first = time.perf_counter()
    done = 0
    for count in batches:
        done += count
        if done >= images:
            break
    return first - began, done / (time.perf_counter() - first)


def write_folder(images: list[bytes], folder: Path) -> None:
    """The same images as files, for ImageFolder."""
    for number, image in enumerate(images):
        place = folder / f"class{number % 2}" / f"{number:06d}.jpg"
        place.parent.mkdir(exist_ok=True, parents=True)
        place.write_bytes(image)


def write_repeated(images: list[bytes], file: Path, count: int) -> None:
    """`count` rows in groups of 256, the images again and again."""
    schema = pa.schema([("image", pa.binary()), ("label", pa.int64())])
    with pq.ParquetWriter(file, schema) as writer:
        for first in range(0, count, 256):
            rows = range(first, min(first + 256, count))
            columns = [[images[r % len(images)] for r in rows], [r % 2 for r in rows]]
            writer.write_batch(pa.record_batch(columns, schema=schema))


def memory_of(config: DataConfig, num_batches: int) -> float:
    """GiB that a stream takes in this process, which has done nothing else."""
    before = resident()
    forget_peak()
    list(islice(streamed(config), num_batches))
    return (peak() - before) / 2**30


def main(settings: Settings) -> None:
    """Take turns, then measure memory."""
    torch.set_num_threads(1)
    if settings.stub:
        for layout in get_args(Layout):
            print(json.dumps(shares(layout)), flush=True)
        for first in FIRST_STEPS:
            print(json.dumps(waits(first)), flush=True)
        return
    if settings.source is None:
        raise SystemExit("give a folder of Parquet, or --stub")
    cores = len(os.sched_getaffinity(0))
    images = encoded_images(settings.source)
    config = DataConfig(
        source="", image_size=SIZE, mode="RGB", stream_above_gib=0, target=2, test=2
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder, parquet = Path(scratch) / "folder", Path(scratch) / "train.parquet"
        write_folder(images, folder)
        write_repeated(images, parquet, len(images))
        here = DataConfig(**{**vars(config), "source": str(parquet)})
        ways: dict[str, Callable[[], Iterator[int]]] = {
            "bare loop": lambda: bare(images, cores),
            "infaug": lambda: streamed(here),
            "torchvision": lambda: torchvision_loader(folder, cores),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        firsts: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(settings.repeats):
            for name, begin in ways.items():
                first, rate = timed(begin(), settings.images)
                rates[name].append(rate / cores)
                firsts[name].append(first)
        large = Path(scratch) / "large.parquet"
        count = round(settings.memory_gib * 2**30 / (3 * SIZE**2))
        write_repeated(images, large, count)
        big = DataConfig(**{**vars(config), "source": str(large)})
        with ProcessPoolExecutor(1, get_context("spawn")) as apart:
            stream_gib = apart.submit(memory_of, big, settings.images // BATCH).result()
    ratios = {
        other: statistics.median(
            a / b for a, b in zip(rates["infaug"], rates[other], strict=True)
        )
        for other in ("bare loop", "torchvision")
    }
    found = {
        "cores": cores,
        "crops_per_s_and_core": {n: statistics.median(v) for n, v in rates.items()},
        "seconds_to_first_batch": {n: statistics.median(v) for n, v in firsts.items()},
        "infaug_over": ratios,
        "decoded_gib": settings.memory_gib,
        "stream_gib": stream_gib,
    }
    if not settings.json:
        for name in ways:
            print(
                f"{name:<12} {statistics.median(rates[name]):7.1f} crops/s and core, "
                f"first batch after {statistics.median(firsts[name]):.2f} s"
            )
        for other, ratio in ratios.items():
            print(f"infaug / {other:<12} {ratio:.2f}")
        print(
            f"memory: {stream_gib:.2f} GiB for a set of "
            f"{settings.memory_gib:.1f} GiB, decoded"
        )
    print(json.dumps({"settings": asdict(settings), **found}, default=str))


if __name__ == "__main__":
    main(tyro.cli(Settings))

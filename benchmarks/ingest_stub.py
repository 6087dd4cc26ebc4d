"""How long a GPU waits for its images where decoders are twice as fast as needed.

    python benchmarks/ingest.py --stub

One of eight workers that train on ImageNet's number of images, 3,200 a second in all:
its two of sixteen groups, 400 images a second. The others would be like it, and share
nothing with it. A decoder sleeps, so no cores are needed; images are small, and what is
held is counted and priced at the usual sizes. The worker asks for a batch while its GPU
works on the last one; the GPU waits if the batch is not there when it ends.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import torch

from infaug.data.crops import Crop
from infaug.data.decode import Encoded
from infaug.data.loader import Chunk, EncodedChunk, Reader, load_in_threads
from infaug.data.on_disk import OnDisk
from infaug.data.parquet import RowGroup
from infaug.data.stream import Stream

WORKERS, GROUPS, BATCH, RATE = 8, 16, 256, 3200
IMAGES, METHODS = 1_281_167, 256  # of the set, and of a row group
THREADS = 8  # of a worker; each decodes a hundred images a second
FASTER = 2.0  # than needed, all threads of a worker
DISK = 200.0  # MB/s for each read
ENCODED, CROP = 110e3, 3 * 224**2  # bytes
FIRST_STEPS = (0, 6_000, 30_000)
STEPS = 150
CROPS: tuple[Crop, ...] = ("random", "random")


@dataclass(frozen=True, kw_only=True)
class SleepingReader(Reader):
    """Reads and decodes nothing, slowly, and counts what it would hold."""

    held: dict[str, float] = field(default_factory=lambda: {"now": 0.0, "most": 0.0})
    lock: Any = field(default_factory=threading.Lock)

    def hold(self, num_bytes: float) -> None:
        """So many more, or fewer."""
        with self.lock:
            self.held["now"] += num_bytes
            self.held["most"] = max(self.held.values())

    def items(self, positions: Sequence[int], groups: Sequence[int]) -> list[Encoded]:
        """As many without content."""
        del groups
        size = ENCODED * len(positions)
        self.hold(size)
        time.sleep(size / DISK / 1e6)
        return [Encoded("", b"", 0)] * len(positions)

    def decode(self, encoded: EncodedChunk, crops: tuple[Crop, ...]) -> Chunk:
        """Sleep as long as that takes."""
        num = len(encoded.items)
        time.sleep(num * THREADS * WORKERS / RATE / FASTER)
        self.hold(num * (len(crops) * CROP - ENCODED))
        images = torch.zeros(num, len(crops), 3, self.size, self.size).byte()
        return Chunk(encoded.shard, images, torch.zeros(num, dtype=torch.int64))


def reader() -> SleepingReader:
    """Of row groups that lie nowhere."""
    groups = tuple(
        RowGroup(
            file=cast(Any, None), columns=cast(Any, None), number=first // METHODS,
            first=first, size=min(METHODS, IMAGES - first), first_in_file=first,
        )
        for first in range(0, IMAGES, METHODS)
    )  # fmt: skip
    return SleepingReader(groups=groups, size=8, mode="RGB")


def waits(first: int) -> dict[str, float]:
    """What a GPU waits from a step on, and what its worker holds."""
    stub = reader()
    images = OnDisk(
        reader=stub, loader=partial(load_in_threads, num=THREADS),
        labels=torch.zeros(IMAGES, dtype=torch.int64), class_names=("a",),
        positions=torch.arange(IMAGES),
    )  # fmt: skip
    own = range(GROUPS // WORKERS)
    batches = Stream(images, BATCH, GROUPS, own, "cpu", CROPS, 0, "stub")
    began = time.perf_counter()
    # Also the one after it: a stream that resumes reads its first batch by itself.
    for step in (first, first + 1):
        num = len(batches.at(step).y)
        stub.hold(-num * len(CROPS) * CROP)
    ready = time.perf_counter()
    ends, waited = ready, 0.0
    for step in range(first + 2, first + STEPS):
        num = len(batches.at(step).y)
        stub.hold(-num * len(CROPS) * CROP)
        now = time.perf_counter()
        waited += max(now - ends, 0.0)
        starts = max(now, ends)
        ends = starts + BATCH / RATE
        # The next batch is asked for once this step runs.
        time.sleep(max(starts - now, 0.0))
    return {
        "first_step": first,
        "waits_share": round(waited / (ends - ready), 4),
        "seconds_to_start": round(ready - began, 2),
        "held_gb": round(stub.held["most"] / 1e9, 3),
    }

"""What a worker reads, decodes and holds of the images that do not train F.

    python benchmarks/ingest.py --stub

Counted for ImageNet's numbers of images, 8 workers that become 6, without an image: a
row group is read whole, so its rows count, and a decoder returns at once. `drawn`:
influence and selection images are drawn from the training images, as the job does;
`val`: they are a split of their own. Most of any worker, over an equal share.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import torch

from infaug.data.crops import Crop
from infaug.data.decode import Encoded
from infaug.data.loader import Chunk, EncodedChunk, Reader, load_in_threads
from infaug.data.on_disk import OnDisk
from infaug.data.parquet import RowGroup
from infaug.data.share import CHUNK, hold, sample_of
from infaug.storage import Location
from infaug.world import World

WORKERS, FEWER = 8, 6
TRAIN, TEST, GROUP = 1_281_167, 50_000, 256
DRAWN, VAL = (50_000, 5_000), (35_000, 15_000)  # influence, selection
BYTES = 3 * 224**2
Layout = Literal["drawn", "val"]


@dataclass(frozen=True, kw_only=True)
class CountingReader(Reader):
    """Counts the rows that it would read, and the images that it would decode."""

    counted: Counter[str] = field(default_factory=Counter)

    def items(self, positions: Sequence[int], groups: Sequence[int]) -> list[Encoded]:
        """As many without content."""
        self.counted["rows"] += sum(self.groups[number].size for number in groups)
        return [Encoded("", b"", 0)] * len(positions)

    def decode(self, encoded: EncodedChunk, crops: tuple[Crop, ...]) -> Chunk:
        """Nothing, at once."""
        num = len(encoded.items)
        self.counted["decoded"] += num
        images = torch.zeros(num, len(crops), 3, self.size, self.size).byte()
        return Chunk(encoded.shard, images, torch.zeros(num, dtype=torch.int64))


def shares(layout: Layout) -> dict[str, Any]:
    """Counts of a start, of a resize, and of a second start after each."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["XDG_CACHE_HOME"] = scratch
        train, held = _images(Path(scratch), layout)
        units = [(held[0], CHUNK), (held[1], 1), (held[2], 1), (sample_of(train), 1)]
        num = sum(len(part) for part, _ in units)
        rows = GROUP * _num_groups([part for part, _ in units])
        found = {"layout": layout, "images": num, "rows": rows}
        for name, size in (("start", WORKERS), ("resize", FEWER)):
            for again in ("", "second_"):
                counts = [_counts(units, World(rank, size)) for rank in range(size)]
                for what, total in (("decoded", num), ("rows", rows), ("held", num)):
                    most = max(count[what] for count in counts)
                    found[f"{again}{name}_{what}"] = round(most * size / total, 3)
                found[f"{name}_held_gb"] = round(
                    max(count["held"] for count in counts) * BYTES / 1e9, 2
                )
        return found


def _counts(units: Sequence[tuple[OnDisk, int]], world: World) -> Counter[str]:
    readers = [cast(CountingReader, part.reader) for part, _ in units]
    for reader in readers:
        reader.counted.clear()
    held = [part.held for part in hold(units, world) if isinstance(part, OnDisk)]
    total = Counter[str](held=sum(len(each.rows) for each in held if each))
    for reader in {id(each): each for each in readers}.values():
        total += reader.counted
    return total


def _num_groups(parts: Sequence[OnDisk]) -> int:
    """Row groups that hold some of the images."""
    used = {
        (id(part.reader), number)
        for part in parts
        for number, positions in enumerate(part.positions_by_group())
        if len(positions)
    }
    return len(used)


def _images(folder: Path, layout: Layout) -> tuple[OnDisk, list[OnDisk]]:
    """Those that train F; those that drive, choose and test."""
    num_val = sum(VAL) if layout == "val" else 0
    whole = _set(folder / "train.parquet", TRAIN + num_val)
    test = _set(folder / "test.parquet", TEST)
    drawn = torch.Generator().manual_seed(0)
    if layout == "val":
        influence, selection = VAL
        order = TRAIN + torch.randperm(num_val, generator=drawn)
    else:
        influence, selection = DRAWN
        order = torch.randperm(TRAIN, generator=drawn)
    held = order[: influence + selection].split([influence, selection])
    train = order[influence + selection :] if layout == "drawn" else torch.arange(TRAIN)
    parts = [whole.part(at.sort().values) for at in (train, *held)]
    return parts[0], [*parts[1:], test]


def _set(file: Path, num: int) -> OnDisk:
    """Of so many images; the file is empty."""
    file.touch()
    columns = SimpleNamespace(image="image")
    groups = tuple(
        RowGroup(
            file=Location(str(file)), columns=cast(Any, columns),
            number=first // GROUP, first=first, size=min(GROUP, num - first),
            first_in_file=first,
        )
        for first in range(0, num, GROUP)
    )  # fmt: skip
    return OnDisk(
        reader=CountingReader(groups=groups, size=8, mode="RGB"),
        loader=load_in_threads, labels=torch.zeros(num, dtype=torch.int64),
        class_names=("a",), positions=torch.arange(num),
    )  # fmt: skip

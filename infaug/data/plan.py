"""The plan of a prepared set: which image goes into which row of which shard.

FOLDER/plan.json says what the folder is prepared from and which shards it has when it
is finished. The same command continues it; another one is refused; a reader knows from
it whether a shard is missing.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch

from infaug.config import DataConfig, PrepareConfig
from infaug.data.classes import numbered_as
from infaug.data.decode import Encoded
from infaug.data.listing import PLAN, Listed, listed, read_plan
from infaug.data.shard_file import ROWS_PER_GROUP, Shard, whole_file
from infaug.data.tree import Member
from infaug.randomness import generator
from infaug.storage import Location, location

SHARD_BYTES = 256 * 2**20
WHAT = {"listing": "other files or labels", "settings": "other settings"}
Sized = tuple[Encoded, int]  # an image and the size of its file, bytes


@dataclass(frozen=True, eq=False)
class Listing:
    """Every image to be rewritten, in order of class and name."""

    class_names: tuple[str, ...]
    splits: dict[str, list[Sized]]
    """`train`, and `val` and `test` where they are."""
    notes: tuple[str, ...]
    """What was skipped or renamed."""
    checksum: str
    """A hash of names, sizes and labels; not of where the source lies."""

    @property
    def num_images(self) -> int:
        """Images of all splits."""
        return sum(map(len, self.splits.values()))


def list_source(source: Path, test: Path | None = None) -> Listing:
    """List a folder, tar or table; `test` is another whose images are the test split.

    Where a source has `val` and no `test`, as ImageNet has, `val` is the test split.
    """
    splits = _listed(source)
    if test is not None:
        if "test" in splits or "val" in splits:
            raise ValueError(f"{source} has a test split of its own: leave out --test")
        of_test = _listed(test)
        if len(of_test) > 1:
            raise ValueError(
                f"--test {test} has splits of its own: give the folder of one of them"
            )
        splits["test"] = of_test["train"]
    elif "test" not in splits and "val" in splits:
        splits["test"] = splits.pop("val")
    names = splits["train"].class_names or ()
    if len(names) < 2:
        raise ValueError(
            f"{source} has one class folder, {', '.join(names)!r}: a classifier needs "
            "two or more, as class/name.jpg"
        )
    sized = {
        split: _numbered(f"the {split} split of {source}", part, names)
        for split, part in splits.items()
    }
    notes = splits["train"].notes
    return Listing(names, sized, notes, _checksum_of(names, sized, source, test))


def _listed(source: Path) -> dict[str, Listed]:
    path = str(source.absolute())
    found = listed(path, DataConfig(source=path))
    if any(part.files for part in found.values()):
        raise ValueError(f"{source} is Parquet already: give it to --data as it is")
    return found


def _numbered(where: str, part: Listed, names: tuple[str, ...]) -> list[Sized]:
    """The images of a split, by the numbers that their classes have in train."""
    items = list(part.items())
    labels = torch.tensor([item.label for item in items])
    labels = numbered_as(names, labels, part.class_names, where).tolist()
    return [
        (item._replace(label=label), _size(item))
        for item, label in zip(items, labels, strict=True)
    ]


def _size(item: Encoded) -> int:
    image = item.image
    if isinstance(image, Member):
        return image.size
    assert isinstance(image, Location)
    if not image.is_local:
        raise ValueError(f"{item.name} is not on this machine: fetch it first")
    try:
        return os.stat(image.base).st_size
    except OSError as error:
        raise ValueError(
            f"{item.name} cannot be read ({error.strerror}): repair or remove it"
        ) from error


def _checksum_of(
    class_names: tuple[str, ...], splits: dict[str, list[Sized]], *sources: Path | None
) -> str:
    total = blake2b(repr(class_names).encode(), digest_size=16)
    for split, images in splits.items():
        for item, size in images:
            name = item.name
            for source in filter(None, sources):
                name = name.removeprefix(str(source.absolute()))
            total.update(f"{split} {name.lstrip('/: ')} {size} {item.label}\n".encode())
    return total.hexdigest()


def plan_shards(listing: Listing, config: PrepareConfig) -> list[Shard]:
    """The shards of all splits; rows are shuffled in an order fixed by their number."""
    shards = []
    size = _rows_per_shard(listing, config)
    for split, images in listing.splits.items():
        order = torch.randperm(len(images), generator=generator(0, "prepare", split))
        for number, rows in enumerate(order.split(size)):
            items, sizes = zip(*(images[row] for row in rows.tolist()), strict=True)
            shard = Shard(
                file=f"{split}-{number:05d}.parquet", images=items, sizes=sizes,
                class_names=listing.class_names, shorter_side=config.shorter_side,
            )  # fmt: skip
            shards.append(shard)
    return shards


def describe(
    source: Path, listing: Listing, config: PrepareConfig, shards: Sequence[Shard]
) -> dict[str, Any]:
    """The content of plan.json."""
    return {
        "source": str(source.absolute()),
        "listing": listing.checksum,
        "settings": {
            "shorter_side": config.shorter_side,
            "rows_per_shard": _rows_per_shard(listing, config),
        },
        "shards": {shard.file: len(shard.images) for shard in shards},
    }


def check_folder(folder: Path, plan: dict[str, Any]) -> None:
    """Refuse a folder that holds anything but this very plan and its shards."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file: give a new or empty folder")
    held = sorted(
        path.name
        for path in (folder.iterdir() if folder.exists() else ())
        if path.name != ".lock" and not path.name.endswith(".part")
    )
    if not held:
        return
    begun = read_plan(location(str(folder)))
    if begun is None:
        raise ValueError(
            f"{folder} holds {held[0]!r} and no {PLAN}: nothing was touched, give a "
            "new or empty folder"
        )
    changed = [words for key, words in WHAT.items() if begun.get(key) != plan[key]]
    if changed:
        what = f"now {plan['source']}"
        if begun.get("settings") != plan["settings"]:
            what = f"{begun.get('settings')}, now {plan['settings']}"
        raise ValueError(
            f"{folder} was begun from {begun.get('source')} with {changed[0]} "
            f"({what}): give that source and those settings to continue, or another "
            "folder"
        )


def write_plan(folder: Path, plan: dict[str, Any]) -> None:
    """Write plan.json if it is not there."""
    if not (folder / PLAN).exists():
        with whole_file(folder / PLAN) as path:
            path.write_text(json.dumps(plan, indent=1) + "\n")


def _rows_per_shard(listing: Listing, config: PrepareConfig) -> int:
    """By default whole row groups that make about `SHARD_BYTES` of training images."""
    if config.rows_per_shard:
        return config.rows_per_shard
    sizes = [size for _, size in listing.splits["train"]]
    rows = SHARD_BYTES * len(sizes) // max(sum(sizes), 1)
    return max(rows // ROWS_PER_GROUP, 1) * ROWS_PER_GROUP

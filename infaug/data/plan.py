"""The plan of a prepared set: which image goes into which row of which shard.

FOLDER/plan.json says what the folder is prepared from and which shards it has when it
is finished. The same command continues it; another one is refused; a reader knows from
it whether a shard is missing.
"""

import json
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch

from infaug.config import PrepareConfig
from infaug.data.listing import Listing
from infaug.data.parquet import PLAN, read_plan
from infaug.data.shard_file import ROWS_PER_GROUP, Shard, whole_file
from infaug.randomness import generator
from infaug.storage import location

SHARD_BYTES = 256 * 2**20
WHAT = {
    "listing": "other files or labels",
    "class_names": "other classes",
    "settings": "other settings",
    "shards": "other shards",
}


def plan_shards(listing: Listing, config: PrepareConfig) -> list[Shard]:
    """The shards of all splits; rows are shuffled in an order fixed by their number."""
    shards = []
    size = config.rows_per_shard or _default_rows(listing)
    for split, images in listing.splits.items():
        order = torch.randperm(len(images), generator=generator(0, "prepare", split))
        for number, rows in enumerate(order.split(size)):
            chosen = [images[row] for row in rows.tolist()]
            shard = Shard(
                file=f"{split}-{number:05d}.parquet",
                members=tuple(member for member, _ in chosen),
                labels=tuple(label for _, label in chosen),
                class_names=listing.class_names,
                shorter_side=config.shorter_side,
            )
            shards.append(shard)
    return shards


def describe(
    source: Path, listing: Listing, config: PrepareConfig, shards: Sequence[Shard]
) -> dict[str, Any]:
    """The content of plan.json."""
    return {
        "source": str(source.absolute()),
        "listing": listing.checksum,
        "class_names": list(listing.class_names),
        "settings": {
            "shorter_side": config.shorter_side,
            "rows_per_shard": config.rows_per_shard or _default_rows(listing),
        },
        "shards": {
            shard.file: {
                "rows": len(shard.labels),
                "labels": _checksum(shard.labels),
            }
            for shard in shards
        },
    }


def check_place(folder: Path, plan: dict[str, Any]) -> None:
    """Refuse a folder that holds anything but this very plan and its shards.

    Raises:
        ValueError: with what is there instead.
    """
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
        raise ValueError(
            f"{folder} was begun from {begun.get('source')} with {changed[0]} "
            f"({_told(begun, plan)}): give that source and those settings to continue, "
            "or another folder"
        )


def write_plan(folder: Path, plan: dict[str, Any]) -> None:
    """Write plan.json if it is not there.

    Raises:
        ValueError: if it cannot be written.
    """
    if not (folder / PLAN).exists():
        with whole_file(folder / PLAN) as path:
            path.write_text(json.dumps(plan, indent=1) + "\n")


def _default_rows(listing: Listing) -> int:
    """Whole row groups that make about `SHARD_BYTES` of training images."""
    sizes = [member.size for member, _ in listing.splits["train"]]
    rows = SHARD_BYTES * len(sizes) // max(sum(sizes), 1)
    return max(rows // ROWS_PER_GROUP, 1) * ROWS_PER_GROUP


def _told(begun: dict[str, Any], plan: dict[str, Any]) -> str:
    if begun.get("settings") != plan["settings"]:
        return f"{begun.get('settings')}, now {plan['settings']}"
    return f"now {plan['source']}"


def _checksum(labels: Sequence[int]) -> str:
    content = np.asarray(labels, dtype="<i8").tobytes()
    return blake2b(content, digest_size=16).hexdigest()

"""Shards: each is a Parquet file that follows from its plan, whoever writes it when.

Every image is decoded once before it is kept. What could not be decoded is left out and
listed in the shard's own metadata, so that a shard that is there tells all about
itself. Pages have checksums: a reader finds bytes that changed since.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from infaug.data.decode import UNREADABLE, reason
from infaug.data.encoded import checked
from infaug.data.tree import Member, read_member
from infaug.data.whole_file import whole_file

ROWS_PER_GROUP = 256  # A stream reads and shuffles whole row groups.


@dataclass(frozen=True, kw_only=True, eq=False)
class Shard:
    """What is to be written: a function of listing, settings and number."""

    file: str
    """Name in the folder."""
    members: tuple[Member, ...]
    labels: tuple[int, ...]
    class_names: tuple[str, ...]
    shorter_side: int | None


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a shard came to."""

    file: str
    rows: int
    num_bytes: int
    unreadable: tuple[tuple[str, str], ...]
    """File and reason of each image that was left out."""


def write_shard(
    shard: Shard, folder: Path, note: Callable[[int], None] = lambda count: None
) -> Written:
    """Write a shard, whole or not at all, and read back what can be compared.

    Args:
        shard: what to write.
        folder: where.
        note: told how many images are done, every now and then.

    Raises:
        ValueError: if the source cannot be read or the shard cannot be written.
    """
    schema = image_schema(shard.class_names)
    path = folder / shard.file
    with whole_file(path) as unfinished:
        with pq.ParquetWriter(
            unfinished,
            schema,
            compression="none",  # Encoded images do not compress.
            use_dictionary=["label"],  # pyright: ignore[reportArgumentType]
            write_page_checksum=True,
        ) as writer:
            unreadable = []
            for first in range(0, len(shard.labels), ROWS_PER_GROUP):
                batch, bad = _rows(shard, first, schema)
                unreadable += bad
                if len(batch):
                    writer.write_batch(batch)
                note(len(batch) + len(bad))
            if unreadable:
                writer.add_key_value_metadata({"unreadable": json.dumps(unreadable)})
        written = read_back(shard, unfinished)
    if written is None:
        raise ValueError(
            f"{path} was read back other than it was written: check the disk, and give "
            "the same command again"
        )
    return written


def read_back(shard: Shard, path: Path) -> Written | None:
    """What a shard that lies at `path` came to; None if it is not what was planned.

    Number of rows and labels are compared; images are not read again.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as parquet:
            metadata = parquet.metadata.metadata or {}
            labels = parquet.read(["label"]).column("label").to_pylist()
        unreadable = json.loads(metadata.get(b"unreadable", b"[]"))
    except (OSError, pa.ArrowException, ValueError, KeyError):
        return None
    left_out = {row for row, _ in unreadable}
    kept = [label for row, label in enumerate(shard.labels) if row not in left_out]
    if labels != kept:
        return None
    return Written(
        file=shard.file,
        rows=len(labels),
        num_bytes=path.stat().st_size,
        unreadable=tuple((shard.members[row].where, why) for row, why in unreadable),
    )


def image_schema(class_names: tuple[str, ...]) -> pa.Schema:
    """Columns `image` and `label`, and the class names as metadata."""
    fields = [("image", pa.binary()), ("label", pa.int64())]
    return pa.schema(fields, metadata={"class_names": json.dumps(class_names)})


def _rows(
    shard: Shard, first: int, schema: pa.Schema
) -> tuple[pa.RecordBatch, list[tuple[int, str]]]:
    images, labels, unreadable = [], [], []
    group = range(first, min(first + ROWS_PER_GROUP, len(shard.labels)))
    for row in group:
        member = shard.members[row]
        content = read_member(member)
        try:
            images.append(checked(content, shard.shorter_side))
            labels.append(shard.labels[row])
        except UNREADABLE as error:
            unreadable.append((row, reason(error)))
    return pa.record_batch([images, labels], schema=schema), unreadable

"""Shards: each is a Parquet file that follows from its plan, whoever writes it when.

Every image is decoded once before it is kept. What could not be decoded is left out and
listed in the shard's own metadata, so that a shard that is there tells all about
itself. Pages have checksums: a reader finds bytes that changed since.
"""

import contextlib
import errno
import json
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageOps

from infaug.data.decode import UNREADABLE, Encoded, opened, reason

ROWS_PER_GROUP = 256  # A stream reads and shuffles whole row groups.


@dataclass(frozen=True, kw_only=True, eq=False)
class Shard:
    """What is to be written: a function of listing, settings and number."""

    file: str
    """Name in the folder."""
    images: tuple[Encoded, ...]
    """In files; their rows."""
    sizes: tuple[int, ...]
    """Of their files, bytes."""
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

    `note` receives how many images are done, every now and then.
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
            for first in range(0, len(shard.sizes), ROWS_PER_GROUP):
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
            f"{path} was read back other than it was written: check the disk, and "
            "rerun the command"
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
    kept = [
        image.label for row, image in enumerate(shard.images) if row not in left_out
    ]
    if labels != kept:
        return None
    return Written(
        file=shard.file,
        rows=len(labels),
        num_bytes=path.stat().st_size,
        unreadable=tuple((shard.images[row].name, why) for row, why in unreadable),
    )


def image_schema(class_names: tuple[str, ...]) -> pa.Schema:
    """Columns `image` and `label`, and the class names as metadata."""
    fields = [("image", pa.binary()), ("label", pa.int64())]
    return pa.schema(fields, metadata={"class_names": json.dumps(class_names)})


def _rows(
    shard: Shard, first: int, schema: pa.Schema
) -> tuple[pa.RecordBatch, list[tuple[int, str]]]:
    images, labels, unreadable = [], [], []
    group = range(first, min(first + ROWS_PER_GROUP, len(shard.sizes)))
    for row in group:
        image = shard.images[row]
        content = _read(image, shard.sizes[row])
        try:
            images.append(checked(content, shard.shorter_side))
            labels.append(image.label)
        except UNREADABLE as error:
            unreadable.append((row, reason(error)))
    return pa.record_batch([images, labels], schema=schema), unreadable


def _read(image: Encoded, size: int) -> bytes:
    assert not isinstance(image.image, bytes | None)
    try:
        content = image.image.read_bytes()
    except ValueError as error:
        raise ValueError(
            f"{error}: when the storage is back, rerun the command to continue"
        ) from error
    if len(content) != size:
        raise ValueError(
            f"{image.name} had {size} bytes when listed and has {len(content)} now: do "
            "not change the source while it is prepared"
        )
    return content


JPEG_QUALITY = 95
JPEG = ("JPEG", "MPO")  # MPO: a JPEG with a preview behind it, as telephones write
# What PNG can hold and Pillow can interpolate; palettes and bits cannot be averaged.
SMOOTH = ("L", "LA", "I", "RGB", "RGBA")


def checked(content: bytes, shorter_side: int | None) -> bytes:
    """The same bytes once they were decoded, or those of a smaller image.

    Larger images are shrunk so that the shorter side has `shorter_side` pixels, bicubic
    with antialiasing, and encoded as JPEG of quality 95 if they were JPEG, else as PNG.
    They are turned as their EXIF orientation says, for metadata is not kept then.
    """
    with opened(BytesIO(content)) as image:
        image.load()
        if shorter_side is None or min(image.size) <= shorter_side:
            return content
        upright = ImageOps.exif_transpose(image)
        return _encoded(_shrunk(upright, shorter_side, image.format), image.format)


def _shrunk(image: Image.Image, shorter_side: int, was: str | None) -> Image.Image:
    scale = shorter_side / min(image.size)
    size = round(image.width * scale), round(image.height * scale)
    return _smooth(image, was).resize(size, Image.Resampling.BICUBIC)


def _smooth(image: Image.Image, was: str | None) -> Image.Image:
    if image.mode in SMOOTH or (image.mode == "CMYK" and was in JPEG):
        return image
    if image.mode.startswith("I;16"):
        return image.convert("I")
    other = "RGBA" if "transparency" in image.info else "RGB"
    return image.convert("L" if image.mode == "1" else other)


def _encoded(image: Image.Image, source_format: str | None) -> bytes:
    buffer = BytesIO()
    if source_format in JPEG:
        image.save(buffer, format="JPEG", quality=JPEG_QUALITY)
    else:
        is_wide = image.mode == "I"  # PNG has 16 bits, not 32.
        (image.convert("I;16") if is_wide else image).save(buffer, format="PNG")
    return buffer.getvalue()


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to; it becomes `path` when all went well, else it is removed."""
    # Not named *.parquet, so that a reader of the folder never takes it for data. Host
    # and process: a task that is given up may still be writing when its double starts.
    own = f".{path.name}.{socket.gethostname()}.{os.getpid()}.part"
    unfinished = path.with_name(own)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "the disk is full" if is_full else error.strerror or str(error)
        remedy = "free some space" if is_full else "fix that"
        raise ValueError(
            f"{path} cannot be written ({why}): {remedy}, and rerun the command"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def remove_unfinished(folder: Path) -> None:
    """Remove what killed writers left; nobody may be writing there."""
    for path in folder.glob(".*.part"):
        path.unlink(missing_ok=True)

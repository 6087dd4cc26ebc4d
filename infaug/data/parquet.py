"""Images in Parquet: encoded bytes and integer labels, a row per image.

Rows are read in batches, so that of the encoded images only one batch is in memory.
Names of the classes are read from the schema metadata key `class_names`, a JSON list.
"""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from infaug.config import DataConfig
from infaug.data.decode import Encoded
from infaug.data.plan import read_plan
from infaug.storage import Location, cause

ROWS_PER_BATCH = 256
DAMAGED = "Fetch the file again, or remove it and prepare it again"
OUT_OF_REACH = (
    "If the storage cannot be reached, the same command continues when it can; if the "
    "file is damaged, put it there again"
)


def parquet_parts(path: Location) -> dict[str, list[Location]]:
    """The files of `train`, and of `val` and `test` where there are such.

    Empty without Parquet. A file is all `train`. In a folder, names that begin with
    `train`, `val` or `test` are the files (shards) of that split, in order of name;
    where none begins with `train`, all others are `train`. Files that belong to none
    are named in a warning.

    Raises:
        ValueError: if a folder has no file of `train`, or lacks one that its plan
            lists.
    """
    if path.is_file():
        return {"train": [path]} if path.suffix == ".parquet" else {}
    files = [file for file in path.files() if file.suffix == ".parquet"]
    _refuse_missing(path, {file.name for file in files})
    parts = {
        split: [file for file in files if file.name.startswith(split)]
        for split in ("train", "val", "test")
    }
    others = [
        file for file in files if not any(file in part for part in parts.values())
    ]
    if parts["train"] and others:
        unused = ", ".join(file.name for file in others)
        warnings.warn(
            f"{path}: only train*, val* and test* are used, not {unused}", stacklevel=2
        )
    parts["train"] = parts["train"] or others
    if files and not parts["train"]:
        raise ValueError(f"{path} has {files[0].name} only: add a train.parquet")
    return {split: files for split, files in parts.items() if files}


def parquet_class_names(files: list[Location]) -> tuple[str, ...] | None:
    """The class names that the files agree on, or None if none are stored.

    Raises:
        ValueError: if they are not a JSON list of strings, or files disagree.
    """
    names = [_stored_class_names(file) for file in files]
    for file, found in zip(files, names, strict=True):
        if found != names[0]:
            raise ValueError(
                f"{file} and {files[0]} differ in the metadata `class_names`, {found} "
                f"and {names[0]}: write the same to every file"
            )
    return names[0]


def parquet_items(
    files: list[Location], config: DataConfig, class_names: tuple[str, ...] | None
) -> Iterator[Encoded]:
    """Every row of the files in order, as an encoded image with its label.

    Raises:
        ValueError: if a column is missing or of the wrong type, or a label is null,
            negative, or names no class.
    """
    for file in files:
        first_row = 0
        for batch in _batches(file, config):
            images = batch.column(config.image_column).to_pylist()
            labels = batch.column(config.label_column).to_pylist()
            for row, (image, label) in enumerate(
                zip(images, labels, strict=True), first_row
            ):
                name = f"{file} row {row}"
                check_label(name, label, class_names)
                yield Encoded(name, encoded_bytes(image), label)
            first_row += len(batch)


def _refuse_missing(path: Location, present: set[str]) -> None:
    plan = read_plan(path)
    if plan is None:
        return
    planned = list(plan["shards"])
    missing = [name for name in planned if name not in present]
    if missing:
        raise ValueError(
            f"{path} lacks {missing[0]}, in all {len(missing)} of the {len(planned)} "
            f"files that its plan.json lists: `infaug data prepare {plan['source']} "
            f"{path}`, with the settings it was begun with, writes what is missing"
        )


def _batches(file: Location, config: DataConfig) -> Iterator[pa.RecordBatch]:
    columns = [config.image_column, config.label_column]
    with opened(file) as parquet:
        check_columns(file, parquet.schema_arrow, config)
        for group in range(parquet.num_row_groups):
            with reading(file, f"row group {group}"):
                yield from parquet.iter_batches(
                    ROWS_PER_BATCH, row_groups=[group], columns=columns
                )


@contextmanager
def opened(file: Location) -> Iterator[pq.ParquetFile]:
    """An open file, its pages to be checked as they are read.

    Without checksums, changed bytes of an image can pass as another image.

    Raises:
        ValueError: if it cannot be read as Parquet.
    """
    with reading(file, "its footer"):
        system, path = file.opened
        # From afar, a row group comes in few large pieces.
        parquet = pq.ParquetFile(
            path,
            filesystem=system,
            page_checksum_verification=True,
            pre_buffer=not file.is_local,
        )
    with parquet:
        yield parquet


@contextmanager
def reading(file: Location, part: str) -> Iterator[None]:
    """What goes wrong while a part of a file is read is told with both their names."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{file} cannot be read as Parquet, {part} fails: {cause(error)}. "
            + (DAMAGED if file.is_local else OUT_OF_REACH)
        ) from error


def _stored_class_names(file: Location) -> tuple[str, ...] | None:
    system, path = file.opened
    with reading(file, "its footer"):
        metadata = pq.read_schema(path, filesystem=system).metadata or {}
    if b"class_names" not in metadata:
        return None
    text = metadata[b"class_names"].decode()
    try:
        names = json.loads(text)
    except json.JSONDecodeError:
        names = None
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise ValueError(
            f"{file}: the metadata `class_names` must be a JSON list of strings, "
            f"got {text[:80]!r}"
        )
    return tuple(names)


def check_columns(file: Location, schema: pa.Schema, config: DataConfig) -> None:
    """Refuse a file without the columns that `config` names, as they must be."""
    for option, column in (
        ("--data.image-column", config.image_column),
        ("--data.label-column", config.label_column),
    ):
        if schema.names.count(column) != 1:
            raise ValueError(
                f"{file} has no column {column!r} (or several); it has "
                f"{', '.join(schema.names)}: choose one with {option}"
            )
    image, label = schema.field(config.image_column), schema.field(config.label_column)
    if not _holds_bytes(image.type):
        raise ValueError(
            f"{file}: column {image.name!r} has type {image.type}, not encoded bytes "
            "(PNG, JPEG): choose another with --data.image-column"
        )
    if not pa.types.is_integer(label.type):
        raise ValueError(
            f"{file}: column {label.name!r} has type {label.type}, not integer: choose "
            "another with --data.label-column, or store classes as 0, 1, ..."
        )


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _holds_bytes(field.type) for field in kind)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def check_label(
    name: str, label: int | None, class_names: tuple[str, ...] | None
) -> None:
    """Refuse a label that names no class."""
    if label is None:
        raise ValueError(f"{name} has no label: remove the row or label it")
    if label < 0:
        raise ValueError(f"{name} has label {label}: remove it, or count from 0")
    if class_names is not None and label >= len(class_names):
        raise ValueError(
            f"{name} has label {label}, but `class_names` has {len(class_names)} "
            f"names: labels must lie in 0..{len(class_names) - 1}"
        )


def encoded_bytes(image: Any) -> bytes | None:
    """The bytes of an image, which Hugging Face's data sets keep in a struct."""
    return image["bytes"] if isinstance(image, dict) else image

"""Images in Parquet: encoded bytes and labels, a row per image.

Rows are read in batches, so that of the encoded images only one batch is in memory.
"""

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from infaug.config import DataConfig
from infaug.data.columns import (
    Columns,
    class_index,
    encoded_bytes,
    find_columns,
    is_text,
    number_of,
)
from infaug.data.decode import Encoded
from infaug.data.names import (
    SPLITS,
    composed,
    is_no_label,
    is_parquet,
    ordered_names,
    split_of,
    split_of_file,
)
from infaug.storage import Location, cause

PLAN = "plan.json"  # of a prepared folder
ROWS_PER_BATCH = 256
DAMAGED = "Fetch the file again, or remove it and prepare it again"
OUT_OF_REACH = (
    "If the storage cannot be reached, the same command continues when it can; if the "
    "file is damaged, put it there again"
)


def parquet_parts(path: Location, names: Sequence[str]) -> dict[str, list[Location]]:
    """The files of `train`, and of `val` and `test` where there are such.

    A split is named by the beginning of a file's name or by a folder above it, in any
    usual spelling (`data/train-00000-of-00002.parquet`, `validation/0000.parquet`).
    Where no file is of train, all that name no split are. Files that are not used are
    named in a warning.

    Args:
        path: the folder.
        names: of the files below it; those of other kinds are passed over.

    Raises:
        ValueError: if there is no file of `train`, or one that its plan lists is
            missing.
    """
    files = sorted(name for name in names if is_parquet(name))
    _refuse_missing(path, set(files))
    parts: dict[str, list[str]] = {split: [] for split in SPLITS}
    others = []
    for name in files:
        split = _split_of(name)
        (others if split is None else parts[split]).append(name)
    if parts["train"] and others:
        warnings.warn(
            f"{path}: only files of train, val and test are used, not "
            f"{', '.join(others[:5])}{', ...' if len(others) > 5 else ''}",
            stacklevel=2,
        )
    elif not parts["train"]:
        parts["train"] = others
    if files and not parts["train"]:
        raise ValueError(
            f"{path} holds {files[0]} and no Parquet file of the training images: add "
            "a train.parquet, or give the one file to train on"
        )
    return {
        split: [path / name for name in found]
        for split, found in parts.items()
        if found
    }


def _split_of(name: str) -> str | None:
    *above, file = PurePosixPath(name).parts
    for folder in above:
        if (split := split_of(folder)) is not None:
            return split
    return split_of_file(file)


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


def read_plan(folder: Location) -> dict[str, Any] | None:
    """The plan of a prepared folder; None if it has none.

    Raises:
        ValueError: if it has one that is damaged.
    """
    path = folder / PLAN
    if not path.is_file():
        return None
    try:
        plan = json.loads(path.read_bytes())
        if not isinstance(plan["shards"], dict):
            raise TypeError("no shards")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}): remove it with the Parquet files beside it, "
            "and prepare again"
        ) from error
    return plan


def parquet_class_names(
    files: Sequence[Location], config: DataConfig
) -> tuple[str, ...] | None:
    """The class names that the files agree on, or None if labels are bare numbers.

    Raises:
        ValueError: if names in the metadata are unusable, or files disagree.
    """
    columns = [_columns_in(file, config) for file in files]
    for file, each in zip(files, columns, strict=True):
        if each.class_names != columns[0].class_names:
            raise ValueError(
                f"{file} and {files[0]} differ in the metadata `class_names`, "
                f"{each.class_names} and {columns[0].class_names}: write the same to "
                "every file"
            )
    if columns[0].class_names is not None:
        return columns[0].class_names
    found: set[str] = set()
    for file, each in zip(files, columns, strict=True):
        found |= _written_names(file, each)
    return ordered_names(found) if found else None


def _columns_in(file: Location, config: DataConfig) -> Columns:
    with opened(file) as parquet:
        return find_columns(file, parquet.schema_arrow, config)


def _written_names(file: Location, columns: Columns) -> set[str]:
    """Names of classes that stand in the rows themselves."""
    if columns.label is None:
        return {composed(str(columns.constant))}
    with opened(file) as parquet:
        if not is_text(parquet.schema_arrow.field(columns.label).type):
            return set()
        with reading(file, "its labels"):
            labels = parquet.read([columns.label]).column(0).unique().to_pylist()
    return {composed(label) for label in labels if not is_no_label(label)}


def parquet_items(
    files: Sequence[Location], config: DataConfig, class_names: tuple[str, ...] | None
) -> Iterator[Encoded]:
    """Every row of the files in order, as an encoded image with its label.

    Raises:
        ValueError: if a column is missing or of the wrong type, or a label is missing,
            negative, or names no class.
    """
    number = number_of(class_names)
    for file in files:
        columns, first_row = _columns_in(file, config), 0
        for batch in batches(file, columns):
            images = batch.column(columns.image).to_pylist()
            labels = columns.labels(batch)
            for row, (image, label) in enumerate(
                zip(images, labels, strict=True), first_row
            ):
                name = f"{file} row {row}"
                yield Encoded(
                    name, encoded_bytes(image), class_index(name, label, number)
                )
            first_row += len(batch)


def batches(file: Location, columns: Columns) -> Iterator[pa.RecordBatch]:
    """Rows of a file, some at a time."""
    with opened(file) as parquet:
        for group in range(parquet.num_row_groups):
            with reading(file, f"row group {group}"):
                yield from parquet.iter_batches(
                    ROWS_PER_BATCH, row_groups=[group], columns=columns.read
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

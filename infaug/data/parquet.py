"""Images in Parquet: encoded bytes and labels, a row per image.

Rows are read in batches, so that of the encoded images only one batch is in memory.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from jaxtyping import Int64
from torch import Tensor

from infaug.config import DataConfig
from infaug.data.columns import (
    Columns,
    class_index,
    class_name,
    encoded_image,
    find_columns,
    is_text,
)
from infaug.data.decode import Encoded
from infaug.data.names import class_label, is_no_label, ordered_names
from infaug.storage import Location, cause

ROWS_PER_BATCH = 256
DAMAGED = "Fetch the file again, or remove it and prepare it again"
OUT_OF_REACH = (
    "If the storage cannot be reached, the same command continues when it can; if the "
    "file is damaged, put it there again"
)


def parquet_class_names(
    files: Sequence[Location], config: DataConfig
) -> tuple[str, ...] | None:
    """The class names that the files agree on, or None if labels are bare numbers."""
    first, found = None, set[str]()
    for file in files:
        with opened(file) as parquet:
            columns = find_columns(file, parquet.schema_arrow, config)
            found |= _written_names(file, parquet, columns)
        first = first or columns
        if columns.class_names != first.class_names:
            raise ValueError(
                f"{file} and {files[0]} differ in the metadata `class_names`, "
                f"{columns.class_names} and {first.class_names}: write the same to "
                "every file"
            )
    if first is not None and first.class_names is not None:
        return first.class_names
    return ordered_names(found) if found else None


def _written_names(
    file: Location, parquet: pq.ParquetFile, columns: Columns
) -> set[str]:
    """Names of classes that stand in the rows themselves."""
    if columns.label is None:
        return {class_label(str(columns.constant))}
    if not is_text(parquet.schema_arrow.field(columns.label).type):
        return set()
    with reading(file, "its labels"):
        labels = parquet.read([columns.label]).column(0).unique().to_pylist()
    return {class_label(label) for label in labels if not is_no_label(label)}


@dataclass(frozen=True)
class RowGroup:
    """Rows that are read at once."""

    file: Location
    columns: Columns
    number: int
    """Of the file's row groups."""
    first: int
    """Position of its first row in the set: groups are numbered through all files."""
    size: int
    """Rows."""
    first_in_file: int
    """Position of its first row in the file, for messages."""

    @property
    def positions(self) -> range:
        """Of its rows in the set."""
        return range(self.first, self.first + self.size)


def row_groups(
    files: Sequence[Location], config: DataConfig, *, labels_needed: bool = True
) -> tuple[RowGroup, ...]:
    """All row groups of the files, in order."""
    groups: list[RowGroup] = []
    first = 0
    for file in (each.fixed for each in files):  # Others may read them.
        first_in_file = 0
        with opened(file) as parquet:
            columns = find_columns(
                file, parquet.schema_arrow, config, labels_needed=labels_needed
            )
            for number in range(parquet.num_row_groups):
                size = parquet.metadata.row_group(number).num_rows
                groups.append(
                    RowGroup(file, columns, number, first, size, first_in_file)
                )
                first, first_in_file = first + size, first_in_file + size
    return tuple(groups)


def num_rows(files: Iterable[Location]) -> int:
    """Rows of all files."""
    total = 0
    for file in files:
        with opened(file) as parquet:
            total += parquet.metadata.num_rows
    return total


def read_labels(
    groups: Sequence[RowGroup], class_names: tuple[str, ...] | None
) -> Int64[Tensor, "N"]:
    """The classes of all rows; images are not read."""
    number = _numbers(class_names)
    labels = [np.zeros(0, dtype=np.int64)]
    for file, some in groupby(groups, key=lambda group: group.file):
        of_file = list(some)
        numbers, columns = [group.number for group in of_file], of_file[0].columns
        with opened(file) as parquet, reading(file, "its labels"):
            table = parquet.read_row_groups(numbers, columns=columns.read[1:])
        labels.append(_indices(file, table, columns, number))
    return torch.from_numpy(np.concatenate(labels))


def _numbers(class_names: tuple[str, ...] | None) -> dict[str, int]:
    return {name: index for index, name in enumerate(class_names or ())}


def num_without_labels(files: Sequence[Location], config: DataConfig) -> int:
    """Rows of these files if none has a label (-1 or none at all), else 0."""
    num = 0
    for group in row_groups(files, config):
        with opened(group.file) as parquet, reading(group.file, "its labels"):
            table = parquet.read_row_group(group.number, group.columns.read[1:])
        for label in group.columns.labels(table):
            if not (is_no_label(label) or label == -1):
                return 0
            num += 1
    return num


def _indices(
    file: Location, table: pa.Table, columns: Columns, number: dict[str, int]
) -> np.ndarray:
    if columns.label is not None and pa.types.is_integer(table.column(0).type):
        column = table.column(0)
        if column.null_count == 0:
            labels = column.to_numpy().astype(np.int64)
            is_named = not number or labels.max(initial=-1) < len(number)
            if labels.min(initial=0) >= 0 and is_named:
                return labels
    return np.asarray(
        [
            class_index(f"{file} row {row}", label, number)
            for row, label in enumerate(columns.labels(table))
        ],
        dtype=np.int64,
    )


def read_rows(
    group: RowGroup, positions: Container[int] | None = None
) -> Iterator[tuple[int, str, bytes | Location | None, Any]]:
    """Position, name, encoded image and stored label of rows of a group."""
    columns, first = group.columns, group.first
    with (
        opened(group.file) as parquet,
        reading(group.file, f"row group {group.number}"),
    ):
        for batch in parquet.iter_batches(
            ROWS_PER_BATCH, row_groups=[group.number], columns=columns.read
        ):
            images, labels = batch.column(columns.image), columns.labels(batch)
            for row, label in enumerate(labels):
                if positions is None or first + row in positions:
                    at = first + row - group.first + group.first_in_file
                    image = encoded_image(images[row].as_py(), group.file)
                    yield first + row, f"{group.file} row {at}", image, label
            first += len(batch)


def read_items(
    group: RowGroup,
    class_names: tuple[str, ...] | None,
    positions: Container[int] | None = None,
) -> Iterator[tuple[int, Encoded]]:
    """The same rows as encoded images with the index of their class."""
    number = _numbers(class_names)
    for position, name, image, label in read_rows(group, positions):
        yield position, Encoded(name, image, class_index(name, label, number))


def parquet_items(
    files: Sequence[Location], config: DataConfig, class_names: tuple[str, ...] | None
) -> Iterator[Encoded]:
    """Every row of the files in order."""
    for group in row_groups(files, config):
        for _, item in read_items(group, class_names):
            yield item


def unlabelled_rows(
    file: Location, config: DataConfig
) -> Iterator[tuple[str, bytes | Location | None, str]]:
    """Name, image and name of the class of each row; an empty one if it has none."""
    groups = row_groups([file], config, labels_needed=False)
    names = groups[0].columns.class_names if groups else None
    for group in groups:
        for _, name, image, label in read_rows(group):
            yield name, image, class_name(label, names)


@contextmanager
def opened(file: Location) -> Iterator[pq.ParquetFile]:
    """An open file, its pages to be checked as they are read.

    Without checksums, changed bytes of an image can pass as another image.
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
    """What goes wrong while a part of a file is read, with both their names."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{file} cannot be read as Parquet, {part} fails: {cause(error)}. "
            + (DAMAGED if file.is_local else OUT_OF_REACH)
        ) from error

"""Where the images of a Parquet set lie, and its labels: read without the images.

A row group is what is read at once. Groups are numbered through all files, in order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
    encoded_bytes,
    find_columns,
    number_of,
)
from infaug.data.decode import Encoded
from infaug.data.parquet import opened, reading
from infaug.storage import Location


@dataclass(frozen=True, kw_only=True)
class RowGroup:
    """Rows that are read at once."""

    file: Location
    columns: Columns
    number: int
    """Of the file's row groups."""
    first: int
    """Position of its first row in the set."""
    size: int
    """Rows."""
    first_in_file: int
    """Position of its first row in the file, for messages."""

    @property
    def name(self) -> str:
        """As a message about its file has it."""
        return f"row group {self.number}"

    @property
    def positions(self) -> range:
        """Of its rows in the set."""
        return range(self.first, self.first + self.size)


def read_layout(
    files: Sequence[Location], config: DataConfig, class_names: tuple[str, ...] | None
) -> tuple[tuple[RowGroup, ...], Int64[Tensor, "N"]]:
    """All row groups of the files, and all labels.

    Raises:
        ValueError: for a file or column that cannot be used, or a label that names no
            class.
    """
    groups: list[RowGroup] = []
    labels: list[np.ndarray] = []
    first = 0
    for file in (each.fixed for each in files):  # Others may read them.
        in_file = 0
        with opened(file) as parquet:
            columns = find_columns(file, parquet.schema_arrow, config)
            for number in range(parquet.num_row_groups):
                size = parquet.metadata.row_group(number).num_rows
                group = RowGroup(
                    file=file, columns=columns, number=number, first=first + in_file,
                    size=size, first_in_file=in_file,
                )  # fmt: skip
                groups.append(group)
                in_file += size
            labels.append(_labels(file, parquet, columns, in_file, class_names))
        first += in_file
    return tuple(groups), torch.from_numpy(np.concatenate(labels))


def read_rows(
    group: RowGroup, positions: Iterable[int], class_names: tuple[str, ...] | None
) -> list[Encoded]:
    """Rows of a group, by their positions in the set, as encoded images with labels.

    Raises:
        ValueError: if the file cannot be read there.
    """
    columns, number = group.columns, number_of(class_names)
    with opened(group.file) as parquet, reading(group.file, group.name):
        table = parquet.read_row_group(group.number, columns=columns.read)
    images, labels = table.column(columns.image), columns.labels(table)
    found = []
    for row in (position - group.first for position in positions):
        name = f"{group.file} row {group.first_in_file + row}"
        image = encoded_bytes(images[row].as_py())
        found.append(Encoded(name, image, class_index(name, labels[row], number)))
    return found


def _labels(
    file: Location,
    parquet: pq.ParquetFile,
    columns: Columns,
    num_rows: int,
    class_names: tuple[str, ...] | None,
) -> np.ndarray:
    """The classes of all rows of a file, or the message about the first wrong one."""
    number = number_of(class_names)
    if columns.label is None:
        label = class_index(str(file), columns.constant, number)
        return np.full(num_rows, label, dtype=np.int64)
    with reading(file, "its labels"):
        column = parquet.read(columns=[columns.label]).column(0)
    if column.null_count == 0 and pa.types.is_integer(column.type):
        labels = column.to_numpy().astype(np.int64)
        largest = labels.max(initial=-1)
        if labels.min(initial=0) >= 0 and (not number or largest < len(number)):
            return labels
    pairs = enumerate(column.to_pylist())
    checked = [class_index(f"{file} row {k}", label, number) for k, label in pairs]
    return np.asarray(checked, dtype=np.int64)

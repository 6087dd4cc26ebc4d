"""Where the images of a Parquet set lie, and its labels: read without the images.

A row group is what is read at once. Groups are numbered through all files, in order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Int64
from torch import Tensor

from infaug.config import DataConfig
from infaug.data.decode import Encoded
from infaug.data.parquet import (
    check_columns,
    check_label,
    encoded_bytes,
    opened,
    reading,
)
from infaug.storage import Location


@dataclass(frozen=True, kw_only=True)
class RowGroup:
    """Rows that are read at once."""

    file: Location
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
            check_columns(file, parquet.schema_arrow, config)
            for number in range(parquet.num_row_groups):
                size = parquet.metadata.row_group(number).num_rows
                group = RowGroup(
                    file=file, number=number, first=first + in_file, size=size,
                    first_in_file=in_file,
                )  # fmt: skip
                groups.append(group)
                in_file += size
            with reading(file, "its labels"):
                column = parquet.read(columns=[config.label_column]).column(0)
        labels.append(_checked(file, column, class_names))
        first += in_file
    return tuple(groups), torch.from_numpy(np.concatenate(labels))


def read_rows(
    group: RowGroup, positions: Iterable[int], config: DataConfig
) -> list[Encoded]:
    """Rows of a group, by their positions in the set, as encoded images with labels.

    Raises:
        ValueError: if the file cannot be read there.
    """
    columns = [config.image_column, config.label_column]
    with opened(group.file) as parquet, reading(group.file, group.name):
        table = parquet.read_row_group(group.number, columns=columns)
    images, labels = table.columns
    found = []
    for row in (position - group.first for position in positions):
        name = f"{group.file} row {group.first_in_file + row}"
        image = encoded_bytes(images[row].as_py())
        found.append(Encoded(name, image, labels[row].as_py()))
    return found


def _checked(
    file: Location, column: pa.ChunkedArray, class_names: tuple[str, ...] | None
) -> np.ndarray:
    """The labels of a file, or the message about the first wrong one."""
    num_classes = len(class_names) if class_names is not None else None
    if column.null_count == 0:
        labels = column.to_numpy().astype(np.int64)
        most = labels.max(initial=-1)
        if labels.min(initial=0) >= 0 and (num_classes is None or most < num_classes):
            return labels
    for row, label in enumerate(column.to_pylist()):
        check_label(f"{file} row {row}", label, class_names)
    raise AssertionError("a label was wrong")

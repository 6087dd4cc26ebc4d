"""Images in Parquet: encoded bytes and labels, a row per image.

Rows are read in batches, so that of the encoded images only one batch is in memory.
Labels are class numbers or names of classes. Names of numbered classes are read from
the schema's metadata: `class_names`, a JSON list, or the ClassLabel that Hugging Face's
`datasets` writes. A label may also be a folder's, as in `label=cat/part-0.parquet`.
"""

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from infaug.config import DataConfig
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
OTHER_LABELS = ("labels", "class", "target", "category", "fine_label")
DEFAULT = DataConfig()


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Where a file has its images and labels."""

    image: str
    label: str | None
    """None: all its images have the label `constant`, from the folder's name."""
    constant: str | None = None
    class_names: tuple[str, ...] | None = None
    """Of numbered classes, from the metadata."""

    @property
    def read(self) -> list[str]:
        """The columns to read."""
        return [self.image] if self.label is None else [self.image, self.label]

    def labels(self, table: pa.Table | pa.RecordBatch) -> list[Any]:
        """The label of every row, as it is stored."""
        if self.label is None:
            return [self.constant] * len(table)
        return table.column(self.label).to_pylist()


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
        if not _is_text(parquet.schema_arrow.field(columns.label).type):
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


def find_columns(
    file: Location,
    schema: pa.Schema,
    config: DataConfig,
    *,
    labels_needed: bool = True,
) -> Columns:
    """The columns that `config` names, or the only ones there can be.

    Without `labels_needed`, images may be without a column of labels.

    Raises:
        ValueError: if there are none, several, or some of the wrong type.
    """
    image = _image_column(file, schema, config)
    hive = dict(
        part.split("=", 1) for part in PurePosixPath(file.base).parts if "=" in part
    )
    if config.label_column in hive and config.label_column not in schema.names:
        return Columns(image=image, label=None, constant=hive[config.label_column])
    try:
        label = _label_column(file, schema, config)
    except ValueError:
        if labels_needed:
            raise
        return Columns(image=image, label=None)
    return Columns(
        image=image, label=label, class_names=_stored_names(file, schema, label)
    )


def _image_column(file: Location, schema: pa.Schema, config: DataConfig) -> str:
    name = config.image_column
    if name not in schema.names and name == DEFAULT.image_column:
        others = [field.name for field in schema if _holds_bytes(field.type)]
        name = others[0] if len(others) == 1 else name
    _refuse_missing_column(file, schema, name, "--data.image-column")
    kind = schema.field(name).type
    if not _holds_bytes(kind):
        raise ValueError(
            f"{file}: column {name!r} has type {kind}, not encoded bytes (PNG, JPEG): "
            "choose another with --data.image-column"
        )
    return name


def _label_column(file: Location, schema: pa.Schema, config: DataConfig) -> str:
    name = config.label_column
    if name not in schema.names and name == DEFAULT.label_column:
        others = list(_hub_names(schema)) or [
            other for other in OTHER_LABELS if other in schema.names
        ]
        name = others[0] if len(others) == 1 else name
    _refuse_missing_column(file, schema, name, "--data.label-column")
    kind = schema.field(name).type
    if not (pa.types.is_integer(kind) or _is_text(kind)):
        raise ValueError(
            f"{file}: column {name!r} has type {kind}, neither integer nor text: "
            "choose another with --data.label-column, or store classes as 0, 1, ..."
        )
    return name


def _refuse_missing_column(
    file: Location, schema: pa.Schema, name: str, option: str
) -> None:
    if schema.names.count(name) != 1:
        of_target = option.replace("--data.", "--data.target-")
        raise ValueError(
            f"{file} has no column {name!r} (or several); it has "
            f"{', '.join(schema.names)}: choose one with {option} (of the target: "
            f"{of_target})"
        )


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _holds_bytes(field.type) for field in kind)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _stored_names(
    file: Location, schema: pa.Schema, label: str
) -> tuple[str, ...] | None:
    """The names of numbered classes; `class_names` goes before Hugging Face's."""
    text = (schema.metadata or {}).get(b"class_names")
    if text is None or _is_text(schema.field(label).type):
        return _hub_names(schema).get(label)
    try:
        names = json.loads(text)
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise ValueError(
            f"{file}: the metadata `class_names` must be a JSON list of strings, "
            f"got {text.decode(errors='replace')[:80]!r}"
        )
    return tuple(composed(name) for name in names)


def _hub_names(schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    """Class names by column, from the features that `datasets` keeps as metadata."""
    try:
        about = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = about.get("info", about).get("features", {})
        found = {}
        for column, feature in features.items():
            names = feature.get("names") if feature["_type"] == "ClassLabel" else None
            if isinstance(names, dict):
                names = [names[key] for key in sorted(names, key=int)]
            if names:
                found[column] = tuple(composed(str(name)) for name in names)
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}
    return found


def number_of(class_names: tuple[str, ...] | None) -> dict[str, int]:
    """The index of each class by its name; empty if classes are bare numbers."""
    return {name: index for index, name in enumerate(class_names or ())}


def class_index(name: str, label: Any, number: dict[str, int]) -> int:
    """The class of a row.

    Raises:
        ValueError: if the label is missing or names no class; `name` is the row's.
    """
    if is_no_label(label):
        raise ValueError(f"{name} has no label: remove the row or label it")
    if isinstance(label, str):
        return number[composed(label)]
    if label < 0:
        raise ValueError(f"{name} has label {label}: remove it, or count from 0")
    if number and label >= len(number):
        raise ValueError(
            f"{name} has label {label}, but `class_names` has {len(number)} "
            f"names: labels must lie in 0..{len(number) - 1}"
        )
    return label


def encoded_bytes(image: Any) -> bytes | None:
    """The bytes of an image, which Hugging Face's data sets keep in a struct."""
    return image["bytes"] if isinstance(image, dict) else image

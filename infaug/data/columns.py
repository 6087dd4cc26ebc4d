"""Which columns of a Parquet file hold its images and labels, and what labels mean.

Labels are class numbers or names of classes. Names of numbered classes are read from
the schema's metadata: `class_names`, a JSON list, or the ClassLabel that Hugging Face's
`datasets` writes. A label may also be a folder's, as in `label=cat/part-0.parquet`.
"""

import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from infaug.config import DataConfig
from infaug.data.names import class_label, is_no_label
from infaug.storage import Location, location

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


def find_columns(
    file: Location, schema: pa.Schema, config: DataConfig, *, labels_needed: bool = True
) -> Columns:
    """The columns that `config` names, or the only ones there can be.

    Without `labels_needed`, images may be without a column of labels.
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
    names = _stored_names(file, schema, label)
    return Columns(image=image, label=label, class_names=names)


def _image_column(file: Location, schema: pa.Schema, config: DataConfig) -> str:
    name = config.image_column
    if name not in schema.names and name == DEFAULT.image_column:
        others = [field.name for field in schema if _holds_bytes(field.type)]
        name = others[0] if len(others) == 1 else name
    _refuse_missing_column(file, schema, name, "image-column")
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
    _refuse_missing_column(file, schema, name, "label-column")
    kind = schema.field(name).type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if not (is_number or is_text(kind)):
        raise ValueError(
            f"{file}: column {name!r} has type {kind}, neither number nor text: "
            "choose another with --data.label-column, or store classes as 0, 1, ..."
        )
    return name


def _refuse_missing_column(
    file: Location, schema: pa.Schema, name: str, option: str
) -> None:
    if schema.names.count(name) != 1:
        raise ValueError(
            f"{file} has no column {name!r} (or several); it has "
            f"{', '.join(schema.names)}: choose one with --data.{option} (of the "
            f"target: --data.target-{option})"
        )


def is_text(kind: pa.DataType) -> bool:
    """Whether a column holds names, plain or by dictionary."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
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
    if text is None or is_text(schema.field(label).type):
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
    return tuple(class_label(name) for name in names)


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
                found[column] = tuple(class_label(str(name)) for name in names)
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}
    return found


def class_index(name: str, label: Any, number: dict[str, int]) -> int:
    """The class of a row; `number` is empty if classes are bare numbers."""
    if is_no_label(label):
        raise ValueError(f"{name} has no label: remove the row or label it")
    if isinstance(label, str):
        return number[class_label(label)]
    if label < 0 or label != int(label):
        raise ValueError(
            f"{name} has label {label}: remove it, or number classes 0, 1, 2, ..."
        )
    if number and label >= len(number):
        raise ValueError(
            f"{name} has label {label}, but `class_names` has {len(number)} "
            f"names: labels must lie in 0..{len(number) - 1}"
        )
    return int(label)


def class_name(label: Any, class_names: tuple[str, ...] | None) -> str:
    """The name of a row's class, in text; empty if there is none."""
    if is_no_label(label):
        return ""
    if isinstance(label, str) or class_names is None:
        return class_label(str(label))
    return class_names[int(label)] if 0 <= label < len(class_names) else ""


def encoded_image(image: Any, file: Location) -> bytes | Location | None:
    """The bytes of an image, which Hugging Face's data sets keep in a struct.

    One that has a path in their place is a file, perhaps beside this one.
    """
    if not isinstance(image, dict):
        return image
    if image["bytes"] is None and (path := image.get("path")):
        return location(path) if path.startswith("/") else file.parent / path
    return image["bytes"]

"""The images that are asked about: files, folders of any depth, Parquet."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from infaug.data.decode import Encoded
from infaug.data.folder import SUFFIXES
from infaug.data.parquet import (
    ROWS_PER_BATCH,
    encoded_bytes,
    opened,
    parquet_class_names,
    reading,
)
from infaug.data.tree import files_below
from infaug.predict.model import Model
from infaug.storage import Location, location

UNKNOWN = -1  # the label of an image of which none is known


@dataclass(frozen=True)
class Inputs:
    """Files of images and of Parquet, in the order given, folders by name."""

    files: tuple[Path, ...]

    def count(self) -> int:
        """How many images there are."""
        total = 0
        for file in self.files:
            if _is_parquet(file):
                with opened(location(str(file))) as parquet:
                    total += parquet.metadata.num_rows
            else:
                total += 1
        return total

    def items(self, model: Model) -> Iterator[Encoded]:
        """Every image with its class, or `UNKNOWN`, by the model's class names.

        The class of a file is known if its folder is named like one; that of a row if
        there is the run's label column.

        Raises:
            ValueError: for Parquet that cannot be read or has no column of images.
        """
        for file in self.files:
            if _is_parquet(file):
                yield from _rows(location(str(file)), model)
            else:
                label = _label(file.absolute().parent.name, model)
                yield Encoded(str(file), location(str(file)), label)


def find_inputs(paths: Sequence[Path]) -> Inputs:
    """All images and Parquet files among these paths and below these folders.

    Raises:
        ValueError: if a path does not exist, or holds nothing of either kind.
    """
    if not paths:
        raise ValueError("no image is named: give image files, folders, or Parquet")
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise ValueError(
                f"{path} does not exist: give image files, folders of them, or Parquet"
            )
        inside = files_below(path) if path.is_dir() else [path]
        images = [file for file in inside if _is_wanted(file)]
        if not images:
            raise ValueError(
                f"{path} holds no image ({', '.join(sorted(SUFFIXES))}) and no .parquet"
            )
        found += images
    return Inputs(tuple(dict.fromkeys(found)))


def _rows(file: Location, model: Model) -> Iterator[Encoded]:
    names = parquet_class_names([file])
    with opened(file) as parquet:
        schema = parquet.schema_arrow
        if model.image_column not in schema.names:
            raise ValueError(
                f"{file} has no column {model.image_column!r} of images, as the run's "
                f"data has: it has {', '.join(schema.names)}"
            )
        columns = [model.image_column]
        is_labelled = model.label_column in schema.names and pa.types.is_integer(
            schema.field(model.label_column).type
        )
        if is_labelled:
            columns.append(model.label_column)
        row = 0
        with reading(file, "a row group"):
            for batch in parquet.iter_batches(ROWS_PER_BATCH, columns=columns):
                images = batch.column(0).to_pylist()
                labels = batch.column(1).to_pylist() if is_labelled else None
                for k, image in enumerate(images):
                    label = _named(labels[k], names, model) if labels else UNKNOWN
                    yield Encoded(f"{file} row {row}", encoded_bytes(image), label)
                    row += 1


def _named(label: int | None, names: tuple[str, ...] | None, model: Model) -> int:
    """The model's index of a row's class; without names, numbers mean the same."""
    if label is None or label < 0:
        return UNKNOWN
    if names is None:
        return label if label < len(model.class_names) else UNKNOWN
    return _label(names[label], model) if label < len(names) else UNKNOWN


def _label(name: str, model: Model) -> int:
    return model.class_names.index(name) if name in model.class_names else UNKNOWN


def _is_parquet(file: Path) -> bool:
    return file.suffix == ".parquet"


def _is_wanted(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES or _is_parquet(file)

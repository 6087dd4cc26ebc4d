"""The images to classify: files, folders of any depth, Parquet, tables of paths.

They are found, decoded and matched to classes by name as those of a run are.
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from infaug.config import DataConfig
from infaug.data.decode import Encoded
from infaug.data.names import (
    SUFFIXES,
    class_label,
    is_image,
    is_no_label,
    is_parquet,
    suffix_of,
)
from infaug.data.parquet import num_rows, unlabelled_rows
from infaug.data.table import TABLES, unlabelled_items
from infaug.data.tree import files_below
from infaug.storage import Location, location

UNKNOWN = -1  # the label of an image of which none is known


@dataclass(frozen=True)
class Inputs:
    """Images, Parquet files and tables, in the order given, folders by name."""

    files: tuple[Path, ...]
    num_skipped: int
    """Files below the folders that are of neither kind."""

    def count(self, data: DataConfig) -> int:
        """How many images there are."""
        total = 0
        for file in self.files:
            place = location(str(file))
            if is_parquet(file.name):
                total += num_rows([place])
            else:
                rows = unlabelled_items(place, data) if _is_table(file) else [file]
                total += sum(1 for _ in rows)
        return total

    def items(self, data: DataConfig, class_names: Sequence[str]) -> Iterator[Encoded]:
        """Every image with its class, or `UNKNOWN`, by the class names of a model.

        The class of a file is known if a folder above it is named like one, the nearest
        first; that of a row or line if there is the run's label column.

        Raises:
            ValueError: for Parquet or a table that cannot be read or names no image.
        """
        number = {class_label(name): k for k, name in enumerate(class_names)}
        for file in self.files:
            place = location(str(file))
            if is_parquet(file.name):
                yield from _labelled(place, unlabelled_rows(place, data), number)
            elif _is_table(file):
                yield from _labelled(place, unlabelled_items(place, data), number)
            else:
                above = (class_label(folder.name) for folder in file.absolute().parents)
                found = (number[name] for name in above if name in number)
                yield Encoded(str(file), place, next(found, UNKNOWN))


def _is_table(file: Path) -> bool:
    return suffix_of(file.name) in TABLES


def find_inputs(paths: Sequence[Path]) -> Inputs:
    """All images and Parquet files among these paths and below these folders.

    A table counts if it is named itself: in a folder its images lie beside it.

    Raises:
        ValueError: if a path does not exist, or holds nothing of either kind.
    """
    if not paths:
        raise ValueError("no image is named: give image files, a folder, or Parquet")
    found: list[Path] = []
    num_skipped = 0
    for path in paths:
        inside = files_below(path) if path.is_dir() else [path]
        images = [f for f in inside if is_image(f.name) or is_parquet(f.name)]
        if not path.is_dir() and _is_table(path):
            images = [path]
        if not images:
            raise ValueError(
                f"{path} holds no image ({', '.join(sorted(SUFFIXES))}) and no "
                ".parquet; a .csv, .tsv or .jsonl of paths is to be named itself"
            )
        found += images
        num_skipped += len(inside) - len(images)
    return Inputs(tuple(dict.fromkeys(found)), num_skipped)


def _labelled(
    file: Location,
    rows: Iterable[tuple[str, bytes | Location | None, str]],
    number: dict[str, int],
) -> Iterator[Encoded]:
    """Rows with the class that their label names; bare numbers name no class."""
    has_names = any(not name.isdecimal() for name in number)
    is_warned = False
    for name, image, label in rows:
        if has_names and label.isdecimal() and label not in number and not is_warned:
            is_warned = True
            warnings.warn(
                f"{file} has bare numbers for labels, and the model has names of "
                "classes: its labels are not compared; write names, in Parquet also "
                "as `class_names` into the schema's metadata",
                stacklevel=3,
            )
        known = (
            UNKNOWN if is_no_label(label) else number.get(class_label(label), UNKNOWN)
        )
        yield Encoded(name, image, known)

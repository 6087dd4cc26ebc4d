"""Images listed in a CSV: a path and a label in each line, and a split if there is one.

Paths are relative to the CSV. Labels are names of classes; if all of them are whole
numbers they are taken in order of number, else in order of name.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from infaug.config import DataConfig
from infaug.data.decode import Encoded
from infaug.data.split_names import SPLIT_NAMES
from infaug.storage import Location, is_url, location


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    name: str
    """Table, line and path: what an error message should say."""
    file: Location
    label: str


def table_parts(path: Location, config: DataConfig) -> dict[str, list[Line]]:
    """The lines of each split that occurs, in order; all are `train` without a column.

    Raises:
        ValueError: if a column is missing, a cell is empty, or a split is unknown; the
            file and line are named.
    """
    rows = _rows(path)
    header = [name.strip() for name in next(rows, ("", []))[1]]
    place = _columns(path, header, config)
    parts: dict[str, list[Line]] = defaultdict(list)
    for where, row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            raise ValueError(
                f"{where} has {len(row)} cells, the header {len(header)}: put a path "
                "or label that holds a comma into double quotes"
            )
        cells = {name: row[at].strip() for name, at in place.items()}
        for name in ("path", "label"):
            if not cells[name]:
                raise ValueError(f"{where} has no {name}: fill it in or remove it")
        split = _split(where, cells.get("split"), config)
        line = Line(
            f"{where}: {cells['path']}", _file(path, cells["path"]), cells["label"]
        )
        parts[split].append(line)
    if not parts:
        raise ValueError(f"{path} lists no image: add lines below its header")
    return {split: parts[split] for split in ("train", "val", "test") if split in parts}


def table_class_names(lines: list[Line]) -> tuple[str, ...]:
    """The labels that occur, in order of number if all are whole numbers, else name."""
    found = {line.label for line in lines}
    if all(label.isdecimal() for label in found):
        return tuple(sorted(found, key=lambda label: (int(label), label)))
    return tuple(sorted(found))


def table_items(lines: list[Line], class_names: tuple[str, ...]) -> list[Encoded]:
    """Every line as a file with the index of its class."""
    number = {name: label for label, name in enumerate(class_names)}
    return [Encoded(line.name, line.file, number[line.label]) for line in lines]


def _rows(path: Location) -> Iterator[tuple[str, list[str]]]:
    """Every line with its place, whichever way lines end."""
    rows = csv.reader(io.StringIO(_text(path), newline=None))
    try:
        for row in rows:
            yield f"{path} line {rows.line_num}", row
    except csv.Error as error:
        raise ValueError(
            f"{path} line {rows.line_num} cannot be read ({error}): see that every "
            "double quote from there on has its other half"
        ) from error


def _text(path: Location) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is no UTF-8 text (byte {error.start}): save it as CSV in UTF-8"
        ) from error


def _columns(path: Location, header: list[str], config: DataConfig) -> dict[str, int]:
    """Where the columns are; that of splits may be missing."""
    place: dict[str, int] = {}
    for name, option, column in (
        ("path", "--data.path-column", config.path_column),
        ("label", "--data.label-column", config.label_column),
        ("split", "--data.split-column", config.split_column),
    ):
        if header.count(column) == 1:
            place[name] = header.index(column)
        elif name != "split" or column in header:
            raise ValueError(
                f"{path} line 1 has no column {column!r} (or several); it has "
                f"{', '.join(header) or 'nothing'}: choose one with {option}"
            )
    return place


def _split(where: str, name: str | None, config: DataConfig) -> str:
    if name is None:
        return "train"
    if name.lower() not in SPLIT_NAMES:
        raise ValueError(
            f"{where} has {config.split_column} {name!r}: write train, val or test, or "
            "name another column with --data.split-column"
        )
    return SPLIT_NAMES[name.lower()]


def _file(table: Location, path: str) -> Location:
    if is_url(path) or path.startswith("/"):
        return location(path)
    return table.parent / path

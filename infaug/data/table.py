"""Images listed in a table: a path and a label in each line, perhaps a split.

A CSV (commas, semicolons or tabs; a header or just path and label), or JSON lines. Also
the `metadata.csv` and `metadata.jsonl` that Hugging Face keeps beside images. Paths are
relative to the table. Labels are names of classes; if all of them are whole numbers
they are taken in order of number, else in order of name.
"""

import codecs
import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from infaug.config import DataConfig
from infaug.data.names import (
    SPLITS,
    class_label,
    is_image,
    is_no_label,
    split_of,
    suffix_of,
)
from infaug.data.parquet import opened, reading
from infaug.data.table_paths import finder
from infaug.storage import Location

TABLES = (".csv", ".tsv", ".jsonl", ".txt")
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
DELIMITERS = (",", ";", "\t", " ")
# What columns are called by others, where the setting is left as it is by default.
OTHERS = {
    "path": ("file_name", "filename", "file", "filepath", "image", "image_id", "id"),
    "label": ("labels", "class", "target", "category", "class_name"),
    "split": (),
}
DEFAULT = DataConfig()


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    name: str
    """Table, line and path: what an error message should say."""
    label: str
    file: Location
    is_moved: bool
    """Whether the file was found elsewhere than the table says."""


@dataclass(frozen=True)
class Table:
    """The cells of a table, as text; rows with the place of each line."""

    path: Location
    header: list[str]
    rows: list[tuple[str, list[str]]]


def table_parts(path: Location, config: DataConfig) -> dict[str, list[Line]]:
    """The lines of each split that occurs; all are `train` without a column."""
    lines = _lines(_read(path, config), config)
    return _in_order([(None, *each) for each in lines], path)


def unlabelled_items(
    path: Location, config: DataConfig
) -> Iterator[tuple[str, Location, str]]:
    """What each line is called, its image, and its label; empty where it has none."""
    table = _read(path, config)
    place, find = _columns(table, config, required=("path",)), finder(path)
    for where, row in table.rows:
        if not (cell := row[place["path"]].strip()):
            raise ValueError(f"{where} has no path: fill it in or remove it")
        label = row[place["label"]].strip() if "label" in place else ""
        yield f"{where}: {cell}", find(where, cell)[0], label


def metadata_parts(
    root: Location, names: Sequence[str], config: DataConfig
) -> dict[str, list[Line]]:
    """The lines of the metadata files of a folder, by split; empty without such.

    The split is a column's, or the folder's in which the metadata or the image lies.
    Metadata without a column of labels say nothing about classes.
    """
    found = []
    for name in names:
        *above, file = PurePosixPath(name).parts
        if file.lower() not in METADATA:
            continue
        table = _read(root / name, config)
        if "label" not in _columns(table, config, required=("path",)):
            continue
        split = next((s for part in above if (s := split_of(part))), None)
        found += [(split, *each) for each in _lines(table, config)]
    return _in_order(found, root) if found else {}


def _in_order(
    found: Sequence[tuple[str | None, str | None, str | None, Line]], path: Location
) -> dict[str, list[Line]]:
    """By split: that of the folder of the table, of the column, or of the image."""
    if not found:
        raise ValueError(f"{path} lists no image: add lines below its header")
    is_split = any(column or above for above, column, _, _ in found) or any(
        beside == "train" for _, _, beside, _ in found
    )
    parts: dict[str, list[Line]] = defaultdict(list)
    for above, column, beside, line in found:
        split = column or above or (beside if is_split else None)
        parts[split or "train"].append(line)
    return {split: parts[split] for split in SPLITS if split in parts}


def _lines(
    table: Table, config: DataConfig
) -> Iterator[tuple[str | None, str | None, Line]]:
    """Every line with the split of its column, and that of the folder of its image."""
    place = _columns(table, config)
    find = finder(table.path)
    is_metadata = table.path.name.lower() in METADATA
    for where, row in table.rows:
        cells = {name: row[at].strip() for name, at in place.items()}
        if not cells["path"]:
            raise ValueError(f"{where} has no path: fill it in or remove it")
        if is_no_label(cells["label"]):
            written = f" but {cells['label']!r}" if cells["label"] else ""
            raise ValueError(f"{where} has no label{written}: fill it in or remove it")
        split = None
        if "split" in cells and (split := split_of(cells["split"])) is None:
            raise ValueError(
                f"{where} has {table.header[place['split']]} {cells['split']!r}: write "
                "train, val or test, or name another column with --data.split-column"
            )
        if cells["label"][:1] in ("[", "{"):
            raise ValueError(
                f"{where} has label {cells['label']}: give one name or number for each "
                "image"
            )
        line = Line(
            f"{where}: {cells['path']}", class_label(cells["label"]),
            *find(where, cells["path"]),
        )  # fmt: skip
        top = PurePosixPath(cells["path"]).parts[0]
        yield split, split_of(top) if is_metadata else None, line


def _read(path: Location, config: DataConfig) -> Table:
    if suffix_of(path.name) == ".parquet":
        return _of_rows(path, _parquet_rows(path))
    text = _text(path)
    if suffix_of(path.name) == ".jsonl":
        return _of_json(path, text)
    tables = (_of_csv(path, text, delimiter) for delimiter in DELIMITERS)
    best = None
    for table in tables:
        if {"path", "label"} <= set(_columns(table, config, required=())):
            return table
        best = table if best is None or len(table.header) > len(best.header) else best
    assert best is not None
    # Without a header, one of two cells is named like an image.
    if len(best.header) == 2 and any(is_image(cell) for cell in best.header):
        header = [config.path_column, config.label_column]
        if is_image(best.header[1]):
            header.reverse()
        return Table(path, header, [(f"{path} line 1", best.header), *best.rows])
    return best


def _of_csv(path: Location, text: str, delimiter: str) -> Table:
    """All lines, whichever way they end; blank ones are passed over."""
    rows = csv.reader(io.StringIO(text, newline=None), delimiter=delimiter)
    found = []
    try:
        header = [name.strip() for name in next(rows, [])]
        for row in rows:
            if any(cell.strip() for cell in row):
                found.append((f"{path} line {rows.line_num}", row))
    except csv.Error as error:
        raise ValueError(
            f"{path} line {rows.line_num} cannot be read ({error}): see that every "
            "double quote from there on has its other half"
        ) from error
    return Table(path, header, found)


def _of_json(path: Location, text: str) -> Table:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{path} line {number}"
        try:
            row = json.loads(line) if line.strip() else {}
        except ValueError as error:
            raise ValueError(
                f"{where} is no JSON ({error}): write an object a line"
            ) from error
        if row:
            found.append((where, row))
    return _of_rows(path, found)


def _parquet_rows(path: Location) -> list[tuple[str, dict]]:
    with opened(path) as parquet, reading(path, "its rows"):
        rows = parquet.read().to_pylist()
    return [(f"{path} row {number}", row) for number, row in enumerate(rows)]


def _of_rows(path: Location, found: Sequence[tuple[str, dict]]) -> Table:
    header = list(dict.fromkeys(key for _, row in found for key in row))

    def text(value: object) -> str:
        return "" if value is None else str(value)

    rows = [(where, [text(row.get(key)) for key in header]) for where, row in found]
    return Table(path, header, rows)


def _text(path: Location) -> str:
    content = path.read_bytes()
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is no UTF-8 text (byte {error.start}): save it as CSV in UTF-8"
        ) from error


def _columns(
    table: Table, config: DataConfig, required: Sequence[str] = ("path", "label")
) -> dict[str, int]:
    """Where the columns are; that of splits may be missing."""
    place: dict[str, int] = {}
    for name in OTHERS:
        column = getattr(config, f"{name}_column")
        at = _index(table.header, column)
        if at is None and column == getattr(DEFAULT, f"{name}_column"):
            others = [_index(table.header, other) for other in OTHERS[name]]
            at = next((other for other in others if other is not None), None)
        if at is not None:
            place[name] = at
        elif name in required:
            raise ValueError(
                f"{table.path} line 1 has no column {column!r} (or several); it has "
                f"{', '.join(table.header) or 'nothing'}: choose one with "
                f"--data.{name}-column"
            )
    for where, row in table.rows if required else ():
        if len(row) != len(table.header):
            raise ValueError(
                f"{where} has {len(row)} cells, the header {len(table.header)}: put a "
                "path or label that holds a comma into double quotes"
            )
    return place


def _index(header: Sequence[str], column: str) -> int | None:
    """Where a column is: as it is spelled, or the only one that differs in case."""
    if header.count(column) == 1:
        return header.index(column)
    same = [at for at, name in enumerate(header) if name.lower() == column.lower()]
    return same[0] if len(same) == 1 and column not in header else None

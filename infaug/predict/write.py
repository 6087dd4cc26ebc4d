"""Predictions as CSV, Parquet or JSON lines, by the name of the file."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from infaug.record.atomic import write_bytes

Lines = Sequence[Mapping[str, Any]]


def as_csv(lines: Lines) -> bytes:
    """With a head; an unknown label is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue().encode()


def as_json_lines(lines: Lines) -> bytes:
    """A JSON object a line; an unknown label is null."""
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def as_parquet(lines: Lines) -> bytes:
    """A column of strings or doubles for each key."""
    kinds = {
        name: pa.float64() if name.startswith("probability") else pa.string()
        for name in lines[0]
    }
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(lines), pa.schema(kinds)), content)
    return content.getvalue()


FORMATS = {".csv": as_csv, ".jsonl": as_json_lines, ".parquet": as_parquet}


def check_name(path: Path) -> None:
    """Refuse a file whose name says no format, or whose folder there is not.

    Raises:
        ValueError: naming what would do.
    """
    if path.suffix not in FORMATS:
        raise ValueError(
            f"--out {path}: the name must end in {', '.join(FORMATS)}; - prints CSV"
        )
    if not path.absolute().parent.is_dir():
        raise ValueError(f"--out {path}: there is no folder {path.absolute().parent}")


def write_predictions(lines: Lines, path: Path) -> None:
    """Write the file, whole or not at all.

    Raises:
        ValueError: if it cannot be written.
    """
    try:
        write_bytes(path, FORMATS[path.suffix](lines))
    except OSError as error:
        raise ValueError(
            f"--out {path} cannot be written ({error.strerror})"
        ) from error

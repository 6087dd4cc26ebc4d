"""A table, a mapping for each line, as the bytes of CSV, JSON lines or Parquet."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Lines = Sequence[Mapping[str, Any]]


def as_csv(lines: Lines) -> bytes:
    """With a head; None is empty, and a list has blanks between its values."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {k: " ".join(map(str, v)) if isinstance(v, list) else v for k, v in of.items()}
        for of in lines
    )
    return text.getvalue().encode()


def as_json_lines(lines: Lines) -> bytes:
    """A JSON object a line; None is null."""
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def as_parquet(lines: Lines, kinds: Mapping[str, pa.DataType]) -> bytes:
    """`kinds` are those of columns; all others are float64."""
    schema = pa.schema({name: kinds.get(name, pa.float64()) for name in lines[0]})
    return parquet_bytes(pa.Table.from_pylist(list(lines), schema))


def parquet_bytes(table: pa.Table, **how: Any) -> bytes:
    """`how` goes to pyarrow's `write_table`; equal tables give equal bytes."""
    content = io.BytesIO()
    pq.write_table(table, content, **how)
    return content.getvalue()

"""The ledger: what E did to which image in which round, and what came of it.

RUN/ledger/METHOD-seedK/round-NNN.parquet has a line for each image. A file is a
function of the training's state, so a round that is repeated writes the same bytes
again. The columns are explained in docs/ledger.md and in the schema's metadata.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from infaug.record.table_file import parquet_bytes

VERSION = 1


def _column(name: str, kind: pa.DataType, unit: str, about: str) -> pa.Field:
    return pa.field(name, kind, metadata={"unit": unit, "about": about})


SCHEMA = pa.schema(
    [
        _column("method", pa.string(), "", "method of the training"),
        _column("seed", pa.int32(), "", "repetition"),
        _column(
            "round", pa.int32(), "", "from 0; -1: s_val is solved once, before all"
        ),
        _column("image", pa.int64(), "", "number among the images F is trained on"),
        _column("split", pa.string(), "", "train, or influence in pooled methods"),
        _column(
            "source_index", pa.int64(), "",
            "among the training images; those of a target are counted on from them"
        ),
        _column("label", pa.int32(), "", "class index"),
        _column("class_name", pa.string(), "", "name of that class"),
        _column(
            "tau", pa.list_(pa.float32()), "1", "what G was given: mask * E(x) + noise"
        ),
        _column(
            "rotation_deg", pa.float32(), "degrees", "positive: counter-clockwise"
        ),
        _column(
            "shear_deg", pa.float32(), "degrees", "positive: upper parts to the right"
        ),
        _column("scale_x", pa.float32(), "1", "above 1: enlarged"),
        _column("scale_y", pa.float32(), "1", "above 1: enlarged; below 0: mirrored"),
        _column("translation_x", pa.float32(), "sides", "positive: to the right"),
        _column("translation_y", pa.float32(), "sides", "positive: downwards"),
        _column(
            "not_affine", pa.float32(), "sides",
            "root mean square distance of the flow from the affine map above",
        ),
        _column("contrast", pa.float32(), "1", "mean factor on grey; above 1: more"),
        _column(
            "brightness", pa.float32(), "value range", "mean of what is added to values"
        ),
        _column(
            "influence", pa.float64(), "nats per unit weight",
            "I_aug of x giving way to x_aug; negative: validation loss is to fall",
        ),
        _column("loss_before", pa.float32(), "nats", "cross-entropy of F on x"),
        _column("loss_after", pa.float32(), "nats", "cross-entropy of F on x_aug"),
    ]
)  # fmt: skip


def ledger_name(method: str, seed: int, round_: int) -> str:
    """Where in a run folder the ledger of a round lies.

    >>> ledger_name("base_learned", 0, 3)
    'ledger/base_learned-seed0/round-003.parquet'
    >>> ledger_name("learned", 1, -1)
    'ledger/learned-seed1/before.parquet'
    """
    name = f"round-{round_:03d}" if round_ >= 0 else "before"
    return f"ledger/{method}-seed{seed}/{name}.parquet"


def encode(columns: Mapping[str, Any], about: Mapping[str, Any]) -> bytes:
    """A ledger file; equal values give equal bytes."""
    described = {"infaug": json.dumps({"version": VERSION, **about})}
    table = pa.table(dict(columns), schema=SCHEMA.with_metadata(described))
    # Values of a line are as many as there are images: a dictionary of them is waste.
    names = ["method", "split", "class_name"]
    return parquet_bytes(table, compression="zstd", use_dictionary=names)


def read_ledger(
    run: Path, method: str | None = None, seed: int | None = None
) -> pa.Table:
    """All lines of a run, or of a method or seed, in order of method, seed and round.

    Raises:
        ValueError: if the run has none.
    """
    which = f"{method or '*'}-seed{'*' if seed is None else seed}"
    files = sorted(run.glob(f"ledger/{which}/*.parquet"))
    if not files:
        raise ValueError(
            f"{run} has no ledger of {which}: methods that learn have one from the "
            "first round of E on, unless --rounds.ledger-images is 0"
        )
    tables = [pq.read_table(path).replace_schema_metadata() for path in files]
    order = [(name, "ascending") for name in ("method", "seed", "round", "image")]
    return pa.concat_tables(tables).sort_by(order)

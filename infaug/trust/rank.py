"""The most helpful and the most harmful training images and augmentations.

The table has a row for every training image and for every augmented view of it:

kind             `image` (its presence) or `augmentation` (giving way to x_aug)
image            its number among the images F was trained on
source_index     its number among the source's training images
label            class index
class_name       name of that class
draw             which view; null for kind `image`
influence        I_up or I_aug: nats per unit of weight; negative helps
predicted_change influence / N: of the validation loss if the image is counted once more
                 (kind `image`) or replaced by the view; nats

sorted by kind and influence, the most helpful first. What it was computed from is in
the file's metadata under `infaug`.
"""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from infaug.data.dataset import Labelled
from infaug.data.stored import Stored
from infaug.influence.score import replace_influence, upweight_influence
from infaug.influence.solution import Solution
from infaug.refresh import solve_snapshot, take_snapshot
from infaug.snapshot import Snapshot, shared_inputs
from infaug.trust.reload import Finished
from infaug.world import World

SCHEMA = pa.schema(
    [
        ("kind", pa.string()),
        ("image", pa.int64()),
        ("source_index", pa.int64()),
        ("label", pa.int64()),
        ("class_name", pa.string()),
        ("draw", pa.int64()),
        ("influence", pa.float64()),
        ("predicted_change", pa.float64()),
    ]
)


def rank(finished: Finished, *, num_draws: int = 1) -> pa.Table:
    """Influences of all training images and of `num_draws` views of each.

    S and the scores belong to F's own head; a view is the row's last one.

    Raises:
        ValueError: if S cannot be solved for, or the training images are streamed.
    """
    cell = finished.cell
    if isinstance(cell.train, Stored):
        raise ValueError(
            "all training images are ranked, and these are streamed: "
            "infaug influence validate checks a sample of them"
        )
    train = cell.train
    solution = _solve(finished, train)
    if not solution.converged:
        raise ValueError(f"s_val was not found: {solution.status}")
    images = _snapshot(finished, 0)
    h1, probs = shared_inputs(images, train.images, World())
    y = one_hot(train.labels, cell.num_classes).to(h1.dtype)
    s_val = solution.value
    tables = [_table(finished, None, upweight_influence(s_val, probs, y, h1))]
    for draw in range(num_draws):
        snapshot = _snapshot(finished, draw)
        h1_aug, probs_aug = shared_inputs(snapshot, train.images, World(), view=0)
        scores = replace_influence(s_val, y, probs, h1, probs_aug, h1_aug)
        tables.append(_table(finished, draw, scores))
    order = [("kind", "descending"), ("influence", "ascending")]
    return (
        pa.concat_tables(tables)
        .sort_by(order)
        .replace_schema_metadata(_about(finished, solution, num_draws))
    )


def write_ranking(table: pa.Table, path: Path) -> None:
    """The table as Parquet."""
    pq.write_table(table, path)


def _solve(finished: Finished, train: Labelled) -> Solution:
    cell, config = finished.cell, finished.cell.config.influence
    snapshot = take_snapshot(
        cell.classifier, cell.augments, config, cell.seed, "rank", start=cell.s_val
    )
    influence = finished.splits.influence.to(cell.device)
    return solve_snapshot(snapshot, train, influence, config, World())


def _snapshot(finished: Finished, draw: int) -> Snapshot:
    cell = finished.cell
    return Snapshot(
        classifier=cell.classifier,
        augments=(cell.augments[-1],),
        purpose=(cell.seed, "rank", draw),
        start=cell.s_val,
    )


def _table(finished: Finished, draw: int | None, scores: Tensor) -> pa.Table:
    labels = finished.cell.train.labels.tolist()
    names, num = finished.cell.train.class_names, len(scores)
    values = scores.double().cpu()
    columns = {
        "kind": ["image" if draw is None else "augmentation"] * num,
        "image": list(range(num)),
        "source_index": finished.source_index.tolist(),
        "label": labels,
        "class_name": [names[label] for label in labels],
        "draw": [draw] * num,
        "influence": values.tolist(),
        "predicted_change": (values / num).tolist(),
    }
    return pa.table(columns, schema=SCHEMA)


def _about(finished: Finished, solution: Solution, num_draws: int) -> dict[str, str]:
    about = {
        "row": finished.cell.row.name,
        "seed": finished.cell.seed,
        "num_train": len(finished.cell.train),
        "num_draws": num_draws,
        "damping": finished.cell.config.influence.damping,
        "residual": solution.residual,
    }
    return {"infaug": json.dumps(about)}


def extremes(table: pa.Table, kind: str, top: int) -> tuple[pa.Table, pa.Table]:
    """The `top` most helpful and most harmful lines of a kind, the extreme first."""
    rows = table.filter(pc.field("kind") == kind)
    worst = torch.arange(len(rows) - 1, max(-1, len(rows) - 1 - top), -1)
    return rows.slice(0, top), rows.take(worst.tolist())

"""The most helpful and the most harmful training images and augmentations.

The table has a row for every training image and for every augmented view of it:

kind             `image` (its presence) or `augmentation` (giving way to x_aug)
image            its number among the images F was trained on
source_index     its number among the source's training images; those of a target are
                 counted on from them
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
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import one_hot

from infaug.data.dataset import Labelled, to_float
from infaug.data.on_disk import OnDisk
from infaug.data.share import CHUNK
from infaug.influence.score import replace_influence, upweight_influence
from infaug.randomness import RandomNumbers, generator
from infaug.record.atomic import write_bytes
from infaug.record.table_file import parquet_bytes
from infaug.training.snapshot import Snapshot, rows_of_chunks, shared_inputs
from infaug.trust.reload import Finished, judged_view, solve_s_val
from infaug.world import World

SCHEMA = pa.schema({
    "kind": pa.string(),
    "image": pa.int64(),
    "source_index": pa.int64(),
    "label": pa.int64(),
    "class_name": pa.string(),
    "draw": pa.int64(),
    "influence": pa.float64(),
    "predicted_change": pa.float64(),
})  # fmt: skip


def rank(
    finished: Finished, *, num_draws: int = 1, max_images: int | None = None
) -> pa.Table:
    """Influences of training images and of `num_draws` views of each.

    S and the scores belong to F's own head; a view is that of `judged_view`. With
    `max_images`, so many images drawn at random are ranked, and H averages over no more
    images than in the run; without it all are, and H averages over all.

    Raises:
        ValueError: if S cannot be solved for, or all images are asked for and these are
            streamed.
    """
    training = finished.training
    if isinstance(training.train, OnDisk) and max_images is None:
        raise ValueError(
            "all training images are ranked, and these are streamed: "
            "infaug influence validate checks a sample of them"
        )
    picked = ranked_images(finished, max_images)
    train = _selected(finished, picked)
    solution = solve_s_val(finished, "rank", is_sampled=max_images is not None)
    if not solution.converged:
        raise ValueError(f"s_val was not found: {solution.status}")
    images = _snapshot(finished, 0)
    h1, probs = shared_inputs(images, train, World())
    y = one_hot(train.labels, training.num_classes).to(h1.dtype)
    s_val = solution.value
    influence = upweight_influence(s_val, probs, y, h1)
    tables = [_table(finished, picked, None, influence)]
    for draw in range(num_draws):
        snapshot = _snapshot(finished, draw)
        h1_aug, probs_aug = shared_inputs(snapshot, train, World(), view=0)
        scores = replace_influence(s_val, y, probs, h1, probs_aug, h1_aug)
        tables.append(_table(finished, picked, draw, scores))
    about = {
        "method": training.method.name,
        "seed": training.seed,
        "num_train": len(training.train),
        "num_ranked": len(picked),
        "num_draws": num_draws,
        "damping": training.config.influence.damping,
        "residual": solution.residual,
    }
    order = [("kind", "descending"), ("influence", "ascending")]
    table = pa.concat_tables(tables).sort_by(order)
    return table.replace_schema_metadata({"infaug": json.dumps(about)})


def ranked_images(finished: Finished, max_images: int | None) -> Int64[Tensor, "n"]:
    """Which training images `rank` takes, ascending."""
    num = len(finished.training.train)
    if max_images is None or max_images >= num:
        return torch.arange(num)
    rng = generator(finished.training.seed, "rank", "images")
    return torch.randperm(num, generator=rng)[:max_images].sort().values


def ranked_view(
    finished: Finished, image: int, draw: int, max_images: int | None
) -> tuple[Float[Tensor, "C H W"], Float[Tensor, "C H W"]]:
    """A training image and that very view of it which `rank` scored."""
    training, picked = finished.training, ranked_images(finished, max_images)
    place = int((picked == image).nonzero())
    chunk = place // CHUNK
    part = _selected(finished, picked[rows_of_chunks(range(chunk, chunk + 1))])
    x = to_float(part.images).to(training.device, training.dtype)
    snapshot = _snapshot(finished, draw)
    rng = RandomNumbers.of_size(
        len(x), *snapshot.seed_key, "view", 0, chunk, device=training.device
    )
    with torch.no_grad():
        x_aug = snapshot.augments[0](x, rng)
    at = place - chunk * CHUNK
    return x[at], x_aug[at]


def write_ranking(table: pa.Table, path: Path) -> None:
    """The table as Parquet: the file is the old or the new one.

    Raises:
        OSError: with its name, if it cannot be written.
    """
    write_bytes(path, parquet_bytes(table))


def _selected(finished: Finished, picked: Int64[Tensor, "n"]) -> Labelled:
    training = finished.training
    return training.train.select(picked).to(training.device)


def _snapshot(finished: Finished, draw: int) -> Snapshot:
    training = finished.training
    return Snapshot(
        classifier=training.classifier,
        augments=(judged_view(training),),
        seed_key=(training.seed, "rank", draw),
        start=training.s_val,
    )


def _table(
    finished: Finished, picked: Tensor, draw: int | None, scores: Tensor
) -> pa.Table:
    train, num = finished.training.train, len(picked)
    labels = train.labels.cpu()[picked].tolist()
    values = scores.double().cpu()
    columns = {
        "kind": ["image" if draw is None else "augmentation"] * num,
        "image": picked.tolist(),
        "source_index": finished.source_index[picked].tolist(),
        "label": labels,
        "class_name": [train.class_names[label] for label in labels],
        "draw": [draw] * num,
        "influence": values.tolist(),
        "predicted_change": (values / len(train)).tolist(),
    }
    return pa.table(columns, schema=SCHEMA)


def extremes(table: pa.Table, kind: str, top: int) -> tuple[pa.Table, pa.Table]:
    """The `top` most helpful and most harmful lines of a kind, the extreme first."""
    rows = table.filter(pc.field("kind") == kind)
    return rows[:top], rows[::-1][:top]

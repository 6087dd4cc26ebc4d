"""s_val of F as it stands: features, validation gradient, Hessian, solve.

Features are computed in fixed chunks shared by the processes and gathered in order, so
every process solves the same problem and S has the same bytes for any number of them.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.config import InfluenceConfig
from infaug.data.dataset import Labelled
from infaug.influence.hessian import LastLayerHessian
from infaug.influence.sharded import ShardedHessian
from infaug.influence.solution import Solution
from infaug.influence.solve import solve
from infaug.randomness import Purpose
from infaug.snapshot import (
    Snapshot,
    rows_of_chunks,
    shards_of,
    shared_inputs,
    validation_gradient,
    views_of,
)
from infaug.types import Augment, Classifier
from infaug.world import World


def solve_s_val(
    classifier: Classifier,
    train: Labelled,
    influence: Labelled,
    augments: Sequence[Augment],
    config: InfluenceConfig,
    *purpose: Purpose,
    world: World,
    start: Float[Tensor, "Y D1"],
) -> Solution:
    """S = (H + damping I)^-1 grad L_val.

    grad L_val is the mean over the influence split; H the mean over the views F is
    trained on (one draw of each, a function of `purpose`) or over the originals.

    Args:
        classifier: F in evaluation mode.
        train: what F is trained on.
        influence: the images that drive the influence.
        augments: the views F is trained on.
        config: damping, tolerance, what H averages over.
        purpose: what the views' random numbers are for.
        world: who shares the work.
        start: where the solver begins.

    Raises:
        ValueError: if F is not deterministic or not finite.
    """
    snapshot = take_snapshot(classifier, augments, config, *purpose, start=start)
    return solve_snapshot(snapshot, train, influence, config, world)


def take_snapshot(
    classifier: Classifier,
    augments: Sequence[Augment],
    config: InfluenceConfig,
    *purpose: Purpose,
    start: Float[Tensor, "Y D1"],
) -> Snapshot:
    """F and the views that H averages over, as they are; nothing is copied."""
    used = tuple(augments) if config.hessian_on == "views" else ()
    return Snapshot(
        classifier=classifier,
        augments=used,
        purpose=purpose,
        start=start,
        focus=config.focus,
    )


def solve_snapshot(
    snapshot: Snapshot,
    train: Labelled,
    influence: Labelled,
    config: InfluenceConfig,
    world: World,
) -> Solution:
    """S of a snapshot, in this process or by all of `world` together."""
    gradient = validation_gradient(snapshot, influence, world)
    views = [
        shared_inputs(snapshot, train.images, world, view)
        for view in views_of(snapshot)
    ]
    shards = []
    for chunks in shards_of(len(train), config.shards or 1):
        rows = rows_of_chunks(chunks)
        h1 = torch.cat([h1[rows] for h1, _ in views])
        shards.append(LastLayerHessian(h1, torch.cat([p[rows] for _, p in views])))
    hessian = ShardedHessian(shards)
    return solve(hessian, gradient, config, snapshot.start, *snapshot.purpose)

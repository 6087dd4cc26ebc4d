"""s_val of F as it stands: features, validation gradient, Hessian, solve.

Features are computed in fixed chunks shared by the processes and gathered in order, so
every process solves the same problem and S has the same bytes for any number of them.
"""

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from infaug.classify.image_classifier import ImageClassifier
from infaug.config import InfluenceConfig
from infaug.data.dataset import Labelled, to_float
from infaug.data.on_disk import ImageSet
from infaug.data.share import CHUNK, hold_for_now, sample
from infaug.influence.features import head_inputs
from infaug.influence.hessian import LastLayerHessian
from infaug.influence.operator import Solution
from infaug.influence.score import upweight_influence
from infaug.influence.sharded import ShardedHessian
from infaug.influence.solve import solve
from infaug.influence.validate import refit_head
from infaug.randomness import SeedKey, generator
from infaug.training.snapshot import (
    Snapshot,
    rows_of_chunks,
    shards_of,
    shared_inputs,
    validation_gradient,
    views_of,
)
from infaug.types import Augment, Classifier
from infaug.world import World

WORTHWHILE = 2  # times fewer images, or all are used
MAX_MEASURED = 250  # images whose features are measured
REFIT_TOL = 1e-6  # norm of the gradient that a refitted head leaves


def solve_s_val(
    classifier: Classifier,
    train: ImageSet,
    influence: ImageSet,
    augments: Sequence[Augment],
    config: InfluenceConfig,
    *seed_key: SeedKey,
    world: World,
    start: Float[Tensor, "Y D1"],
) -> Solution:
    """S = (H + damping I)^-1 grad L_val.

    grad L_val is the mean over the influence split; H the mean over the views F is
    trained on (one draw of each, a function of `seed_key`) or over the originals, of
    the images that `hessian_sample` picks.

    Raises:
        ValueError: if F is not deterministic or not finite.
    """
    snapshot = take_snapshot(classifier, augments, config, *seed_key, start=start)
    sample = hessian_sample(train, config, *seed_key, world=world)
    return solve_snapshot(snapshot, sample, influence, config, world)


@torch.no_grad()
def refit(
    classifier: ImageClassifier,
    train: ImageSet,
    augments: Sequence[Augment],
    config: InfluenceConfig,
    *seed_key: SeedKey,
    world: World,
) -> None:
    """Put F's head where theory assumes it, on the views that H averages over.

    There mean loss + (damping/2) |[W b]|^2 is least, so that influence is exact to
    first order (Koh & Liang, 2017). Only for a body that stands still.

    Raises:
        ValueError: if the head does not converge: damping is too small.
    """
    head, was_training = classifier.head, classifier.training
    start = torch.cat([head.weight, head.bias[:, None]], dim=1)
    snapshot = take_snapshot(
        classifier.eval(), augments, config, *seed_key, start=start
    )
    views = [h1 for h1, _ in _train_inputs(snapshot, train, world)]
    y = torch.nn.functional.one_hot(train.labels, len(start)).to(start)
    found = refit_head(
        torch.cat(views), y.repeat(len(views), 1), damping=config.damping, init=start,
        tol=REFIT_TOL,
    )  # fmt: skip
    head.weight.copy_(found[:, :-1])
    head.bias.copy_(found[:, -1])
    classifier.train(was_training)


@torch.no_grad()
def damping_of(
    classifier: ImageClassifier, train: ImageSet, world: World, device: torch.device
) -> float:
    """2 |h1|^2 / N, with the mean over a few of the images.

    With much less, an image outweighs the others in its own direction, and what its
    replacement does is not of first order: so with the long features of pretrained
    networks.
    """
    images = to_float(sample(train, world, device))
    some = images[:: -(-len(images) // MAX_MEASURED)]
    h1, _ = head_inputs(classifier.eval(), some, batch_size=CHUNK)
    return 2 * float(h1.square().sum(dim=1).mean()) / len(train)


def is_sampled(train: ImageSet, config: InfluenceConfig) -> bool:
    """Whether H averages over fewer images than F is trained on.

    Not unless that halves the work at least: a small set is worth all of its images.
    """
    return (
        config.hessian_samples is not None
        and len(train) > WORTHWHILE * config.hessian_samples
    )


def hessian_sample(
    train: ImageSet, config: InfluenceConfig, *seed_key: SeedKey, world: World
) -> ImageSet:
    """`hessian_part`; of images on disk every process holds a part, decoded."""
    part = hessian_part(train, config, *seed_key)
    if isinstance(part, Labelled):
        return part
    return world.each(partial(hold_for_now, part, world, CHUNK))


def hessian_part(
    train: ImageSet, config: InfluenceConfig, *seed_key: SeedKey
) -> ImageSet:
    """The images H averages over: all, or `hessian_samples` drawn without return."""
    if not is_sampled(train, config):
        return train
    rng = generator(*seed_key, "hessian sample")
    order = torch.randperm(len(train), generator=rng)
    return train.part(order[: config.hessian_samples].sort().values)


def correlation_with_full(
    s_val: Float[Tensor, "Y D1"],
    classifier: Classifier,
    train: Labelled,
    influence: ImageSet,
    augments: Sequence[Augment],
    config: InfluenceConfig,
    *seed_key: SeedKey,
    world: World,
) -> float:
    """Pearson of the training images' scores by `s_val` and by the full solution.

    Full: every view of every training image, freshly forwarded in evaluation mode. Its
    cost is that of the refresh that sampling avoids.
    """
    snapshot = take_snapshot(classifier, augments, config, *seed_key, start=s_val)
    views = _train_inputs(snapshot, train, world)
    h1, probs = (torch.cat(part) for part in zip(*views, strict=True))
    gradient = validation_gradient(snapshot, influence, world=world)
    full = solve(LastLayerHessian(h1, probs), gradient, config, s_val, *seed_key)
    labels = train.labels.repeat(len(views))
    both = [scores(s, h1, probs, labels) for s in (s_val, full.value)]
    return float(torch.corrcoef(torch.stack(both).double())[0, 1])


def scores(
    s_val: Float[Tensor, "Y D1"],
    h1: Float[Tensor, "N D1"],
    probs: Float[Tensor, "N Y"],
    labels: Int64[Tensor, "N"],
) -> Float[Tensor, "N"]:
    """Influence of up-weighting each image, labels as indices."""
    y = torch.nn.functional.one_hot(labels, probs.shape[1]).to(probs.dtype)
    return upweight_influence(s_val, probs, y, h1)


def take_snapshot(
    classifier: Classifier,
    augments: Sequence[Augment],
    config: InfluenceConfig,
    *seed_key: SeedKey,
    start: Float[Tensor, "Y D1"],
) -> Snapshot:
    """F and the views that H averages over, as they are; nothing is copied."""
    used = tuple(augments) if config.hessian_on == "views" else ()
    return Snapshot(
        classifier=classifier, augments=used, seed_key=seed_key, start=start
    )


def solve_snapshot(
    snapshot: Snapshot,
    train: ImageSet,
    influence: ImageSet,
    config: InfluenceConfig,
    world: World,
) -> Solution:
    """S of a snapshot, in this process or by all of `world` together.

    H averages over all of `train`: see `hessian_sample`.
    """
    num_shards = config.shards or 1
    gradient = validation_gradient(snapshot, influence, num_shards, world)
    views = _train_inputs(snapshot, train, world)
    shards = []
    for chunks in shards_of(len(train), num_shards):
        rows = rows_of_chunks(chunks)
        h1 = torch.cat([h1[rows] for h1, _ in views])
        shards.append(LastLayerHessian(h1, torch.cat([p[rows] for _, p in views])))
    hessian = ShardedHessian(shards)
    return solve(hessian, gradient, config, snapshot.start, *snapshot.seed_key)


def _train_inputs(
    snapshot: Snapshot, train: ImageSet, world: World
) -> list[tuple[Tensor, Tensor]]:
    """Head inputs and probabilities of every view of the training images."""
    return [shared_inputs(snapshot, train, world, view) for view in views_of(snapshot)]

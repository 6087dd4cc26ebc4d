"""s_val of F as it stands: features, validation gradient, Hessian, solve.

Features are computed in fixed chunks shared by the processes and gathered in order, so
every process solves the same problem and S has the same bytes for any number of them.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from infaug.config import InfluenceConfig
from infaug.data.dataset import Labelled, to_float
from infaug.influence.features import check_deterministic, head_inputs
from infaug.influence.gradient import mean_head_gradient
from infaug.influence.hessian import LastLayerHessian
from infaug.influence.score import upweight_influence
from infaug.influence.solution import Solution
from infaug.influence.solve import solve
from infaug.randomness import Draws, Purpose, generator
from infaug.types import Augment, Classifier
from infaug.world import World

CHUNK = 250
WORTHWHILE = 2  # times fewer images, or all are used


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
    trained on (one draw of each, a function of `purpose`) or over the originals, of
    the images that `hessian_sample` picks.

    Args:
        classifier: F in evaluation mode.
        train: what F is trained on.
        influence: the images that drive the influence.
        augments: the views F is trained on.
        config: damping, tolerance, solver, what H averages over.
        purpose: what the views' random numbers are for.
        world: who shares the work.
        start: where the solver begins.

    Raises:
        ValueError: if F is not deterministic or not finite.
    """
    dtype = classifier.head.weight.dtype
    probe = to_float(train.images[:CHUNK]).to(dtype)
    check_deterministic(classifier, probe)
    sample = hessian_sample(train, config, *purpose)
    h1, probs = _train_inputs(classifier, sample, augments, config, purpose, world)
    gradient = validation_gradient(classifier, influence, world)
    return solve(LastLayerHessian(h1, probs), gradient, config, start, *purpose)


def is_sampled(train: Labelled, config: InfluenceConfig) -> bool:
    """Whether H averages over fewer images than F is trained on.

    Not unless that halves the work at least: a small set is worth all of its images.
    """
    return (
        config.hessian_samples is not None
        and len(train) > WORTHWHILE * config.hessian_samples
    )


def hessian_sample(
    train: Labelled, config: InfluenceConfig, *purpose: Purpose
) -> Labelled:
    """The images H averages over: all, or `hessian_samples` drawn without return."""
    if not is_sampled(train, config):
        return train
    draws = generator(*purpose, "hessian sample")
    order = torch.randperm(len(train), generator=draws)
    picked = order[: config.hessian_samples].sort().values
    return train.select(picked.to(train.images.device))


def correlation_with_full(
    s_val: Float[Tensor, "Y D1"],
    classifier: Classifier,
    train: Labelled,
    influence: Labelled,
    augments: Sequence[Augment],
    config: InfluenceConfig,
    *purpose: Purpose,
    world: World,
) -> float:
    """Pearson of the training images' scores by `s_val` and by the full solution.

    Full: every view of every training image, freshly forwarded in evaluation mode. Its
    cost is that of the refresh that sampling avoids.
    """
    h1, probs = _train_inputs(classifier, train, augments, config, purpose, world)
    gradient = validation_gradient(classifier, influence, world)
    full = solve(LastLayerHessian(h1, probs), gradient, config, s_val, *purpose)
    labels = train.labels.repeat(len(h1) // len(train))
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


def validation_gradient(
    classifier: Classifier, influence: Labelled, world: World
) -> Float[Tensor, "Y D1"]:
    """Grad L_val: the mean over the influence split, as it is."""
    h1, probs = head_inputs_of(classifier, influence, world)
    y = torch.nn.functional.one_hot(influence.labels, influence.num_classes)
    return mean_head_gradient(probs, y.to(probs.dtype), h1)


def _train_inputs(
    classifier: Classifier,
    train: Labelled,
    augments: Sequence[Augment],
    config: InfluenceConfig,
    purpose: tuple[Purpose, ...],
    world: World,
) -> tuple[Tensor, Tensor]:
    if config.hessian_on == "originals" or not augments:
        return head_inputs_of(classifier, train, world)
    parts = [
        head_inputs_of(classifier, train, world, augment, (*purpose, "view", k))
        for k, augment in enumerate(augments)
    ]
    return torch.cat([h1 for h1, _ in parts]), torch.cat([p for _, p in parts])


def head_inputs_of(
    classifier: Classifier,
    labelled: Labelled,
    world: World,
    augment: Augment | None = None,
    purpose: tuple[Purpose, ...] = (),
) -> tuple[Tensor, Tensor]:
    """Head inputs and probabilities of a split or of one view of it, on every rank."""
    chunks = range(0, len(labelled), CHUNK)
    num = len(chunks)
    mine = range(world.rank * num // world.size, (world.rank + 1) * num // world.size)
    weight = classifier.head.weight
    h1 = [weight.new_zeros(0, weight.shape[1] + 1)]
    probs = [weight.new_zeros(0, weight.shape[0])]
    for chunk in mine:
        first = chunks[chunk]
        x = to_float(labelled.images[first : first + CHUNK]).to(weight.dtype)
        if augment is not None:
            x = augment(x, Draws.of_size(len(x), *purpose, chunk, device=x.device))
        for held, new in zip(
            (h1, probs), head_inputs(classifier, x, batch_size=CHUNK), strict=True
        ):
            held.append(new)
    return world.gather(torch.cat(h1)), world.gather(torch.cat(probs))

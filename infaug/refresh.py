"""s_val of F as it stands: features, validation gradient, Hessian, solve.

Features are computed in fixed chunks shared by the processes and gathered in order, so
every process solves the same problem and S has the same bytes for any number of them.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.config import InfluenceConfig
from infaug.data.dataset import Labelled, to_float
from infaug.influence.features import check_deterministic, head_inputs
from infaug.influence.gradient import mean_head_gradient
from infaug.influence.hessian import LastLayerHessian
from infaug.influence.solution import Solution
from infaug.influence.solve import solve
from infaug.randomness import Draws, Purpose
from infaug.types import Augment, Classifier
from infaug.world import World

CHUNK = 250


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
    dtype = classifier.head.weight.dtype
    probe = to_float(train.images[:CHUNK]).to(dtype)
    check_deterministic(classifier, probe)
    if config.hessian_on == "originals":
        augments = ()
    h1, probs = _train_inputs(classifier, train, augments, purpose, world)
    val_h1, val_probs = _inputs(classifier, influence, world)
    one_hot = torch.nn.functional.one_hot(influence.labels, influence.num_classes)
    gradient = mean_head_gradient(val_probs, one_hot.to(dtype), val_h1)
    return solve(LastLayerHessian(h1, probs), gradient, config, start, *purpose)


def _train_inputs(
    classifier: Classifier,
    train: Labelled,
    augments: Sequence[Augment],
    purpose: tuple[Purpose, ...],
    world: World,
) -> tuple[Tensor, Tensor]:
    if not augments:
        return _inputs(classifier, train, world)
    parts = [
        _inputs(classifier, train, world, augment, (*purpose, "view", k))
        for k, augment in enumerate(augments)
    ]
    return torch.cat([h1 for h1, _ in parts]), torch.cat([p for _, p in parts])


def _inputs(
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

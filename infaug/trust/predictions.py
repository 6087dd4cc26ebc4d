"""Does the influence of a finished run predict what refitting the head shows?

F's features stand still: the check is of the linearisation, at the optimum of the head
on them. What the whole network would do when trained on x_aug is not checked.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from infaug.data.dataset import Labelled, to_float
from infaug.data.on_disk import ImageSet
from infaug.data.share import CHUNK
from infaug.influence.features import head_inputs
from infaug.influence.score import mean_head_gradient, replace_influence
from infaug.influence.validate import Validation, agreement, validate
from infaug.randomness import RandomNumbers, generator
from infaug.training.refresher import refit_frozen
from infaug.training.snapshot import shared_inputs
from infaug.training.solve import take_snapshot
from infaug.trust.reload import Finished, judged_view, solve_s_val
from infaug.world import World


@dataclass(frozen=True)
class Trust:
    """How far the influences of a training can be trusted."""

    refitted: Validation
    """Predicted at the refitted head, where the theory holds, against refitting."""
    live: Validation
    """Predicted as the run does, with F's own head and S, against refitting; on a
    frozen body with the head at its optimum on the views, as when E is taught."""
    live_gradient: float
    """Norm of the gradient of mean loss + (damping/2) |[W b]|^2 on the originals at F's
    own head, nats per unit of head weight; 0 at the optimum that theory assumes."""
    num_train: int
    """Training images the head was refitted on."""


def check_predictions(
    finished: Finished, *, num_samples: int, max_train: int | None = None
) -> Trust:
    """Replace some training images by x_aug, one at a time, and refit the head.

    x_aug is the view of an image that `judged_view` picks: through E and G if the
    method has such a view. Images are drawn at random with the training's seed; the
    head is fitted on `max_train` of them at most.

    Raises:
        ValueError: if a refit does not converge, or there are too few images.
    """
    training, device = finished.training, finished.training.device
    refit_frozen(training, training.config.rounds.rounds)
    order = torch.randperm(
        len(training.train), generator=generator(training.seed, "validate")
    )
    train = training.train.select(order[:max_train].to(device))
    if not 2 <= num_samples <= len(train):
        raise ValueError(
            f"--samples must lie between 2 and the {len(train)} training images that "
            f"are used, got {num_samples}"
        )
    h1, probs = _inputs(finished, train)
    h1_aug, probs_aug = _augmented(finished, train.select(torch.arange(num_samples)))
    y = one_hot(train.labels, train.num_classes).to(h1)
    influence = finished.splits.influence.to(device)
    h1_val, _ = _inputs(finished, influence)
    y_val = one_hot(influence.labels, influence.num_classes).to(h1)
    damping, picked = training.config.influence.damping, torch.arange(num_samples)
    found = validate(
        h1.cpu(), y.cpu(), h1_aug.cpu(), picked, h1_val.cpu(), y_val.cpu(),
        damping=damping,
    )  # fmt: skip
    s_val = solve_s_val(finished, "validate").value
    live = replace_influence(
        s_val, y[:num_samples], probs[:num_samples], h1[:num_samples], probs_aug, h1_aug
    )
    head = training.classifier.head
    weights = torch.cat([head.weight, head.bias[:, None]], dim=1).to(h1.dtype)
    gradient = mean_head_gradient(probs, y, h1) + damping * weights
    return Trust(
        refitted=found,
        live=agreement((live / len(train)).cpu().double(), found.actual),
        live_gradient=float(gradient.norm()),
        num_train=len(train),
    )


def _inputs(finished: Finished, split: ImageSet) -> tuple[Tensor, Tensor]:
    training = finished.training
    snapshot = take_snapshot(
        training.classifier, (), training.config.influence, start=training.s_val
    )
    return shared_inputs(snapshot, split, World())


def _augmented(finished: Finished, picked: Labelled) -> tuple[Tensor, Tensor]:
    training = finished.training
    rng = RandomNumbers.of_size(
        len(picked), training.seed, "validate", device=training.device
    )
    x = to_float(picked.images).to(training.dtype)
    x_aug = judged_view(training)(x, rng)
    return head_inputs(training.classifier, x_aug, batch_size=CHUNK)

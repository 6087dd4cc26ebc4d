"""Is the learned view still sound? If not, and selection images agree, it is weakened.

Collapse is suspected from x_aug alone: tau or fields at their bounds, or labels that F
no longer finds. That is no proof: hard views may be the useful ones. So F goes through
the coming round twice on a copy, with the view and without it, and the two are compared
image by image on the selection split. Only a loss that is larger with the view, by more
than its standard error, halves its strength; after `attempts` halvings the view is
given up.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from infaug.classify.fit import fit_classifier
from infaug.classify.loss import soft_cross_entropy
from infaug.config import BackoffConfig
from infaug.data.dataset import to_float
from infaug.data.on_disk import ImageSet
from infaug.data.share import local_part
from infaug.estimate.learned_transform import tau_dropout, tau_noise
from infaug.randomness import RandomNumbers
from infaug.record.steps import Metrics
from infaug.training.state import Training

CLEAR = 1.0  # standard errors; the signs of collapse are evidence of their own
CHUNK = 500
SATURATED = 0.95


@dataclass(frozen=True, kw_only=True)
class Health:
    """Of images x and their augmented views x_aug, means over a global batch.

    Attributes:
        saturation: share of |tau| above 0.95: E has reached its bounds.
        field_saturation: the same of the fields after tanh: G has reached its own.
        accuracy: of F on x, a share.
        accuracy_aug: of F on x_aug, a share.
        loss_aug: cross-entropy of F on x_aug, nats.
        field_square: mean squared field before tanh: how strong x_aug is.
    """

    saturation: float
    field_saturation: float
    accuracy: float
    accuracy_aug: float
    loss_aug: float
    field_square: float


@torch.no_grad()
def health_of(
    training: Training,
    x: Float[Tensor, "B C H W"],
    y: Float[Tensor, "B Y"],
    rng: RandomNumbers,
) -> Health:
    """Health of E's views of this process's part of a batch; F in evaluation mode."""
    transform, classifier = training.transform, training.classifier
    config, size = training.config.estimator, transform.config.tau_size
    tau = transform.estimator(x)
    noise, mask = tau_noise(config, size, rng), tau_dropout(config, size, rng)
    unbounded = transform.unbounded(x, noise, mask)
    logits = [
        classifier.head(classifier.features(images))
        for images in (x, transform.render(x, unbounded))
    ]
    right = [(z.argmax(dim=1) == y.argmax(dim=1)).to(x.dtype) for z in logits]
    extreme = (tau.abs() > SATURATED, unbounded.tanh().abs() > SATURATED)
    columns = [
        *(part.to(x.dtype).flatten(1).mean(dim=1) for part in extreme),
        *right,
        soft_cross_entropy(logits[1], y).to(x.dtype),
        unbounded.square().mean(dim=(1, 2, 3)).to(x.dtype),
    ]
    whole = training.world.gather(torch.stack(columns, dim=1))
    names = [field.name for field in fields(Health)]
    means = whole.double().mean(dim=0).tolist()
    return Health(**dict(zip(names, means, strict=True)))


def review(
    training: Training, round_: int, left: range, selection: ImageSet | None
) -> Iterator[Metrics]:
    """The one step of a review, between training E and the next round of F.

    Yields:
        The view's `Health`, its `strength` from now on, and, where collapse was
        suspected, why (`suspected`) and what the selection images said: `harm`, the
        mean excess of their loss with the view (nats), and `harm_error`, its standard
        error.
    """
    assert selection is not None, "whoever learns has images to choose by"
    for _ in left:
        training.classifier.eval()
        x, y, rng = training.views.estimator_batch_at(round_ * len(left))
        health = health_of(training, x, y, rng)
        metrics: dict[str, float | int | str] = asdict(health)
        reason = suspicion(health, training.config.backoff)
        if reason and round_ >= training.cleared_until:
            harm = harm_of_view(training, round_ + 1, selection)
            mean, error = mean_and_error(harm)
            metrics |= {"suspected": reason, "harm": mean, "harm_error": error}
            if mean > CLEAR * error:
                weaken(training)
            else:
                training.cleared_until = (
                    round_ + 1 + training.config.backoff.patience_rounds
                )
        yield metrics | {"strength": training.strength}


def suspicion(health: Health, config: BackoffConfig) -> str:
    """Why collapse is suspected; empty if it is not."""
    reasons = []
    if health.saturation > config.most_saturation:
        reasons.append(f"{health.saturation:.0%} of tau at its bounds")
    if health.field_saturation > config.most_saturation:
        reasons.append(f"{health.field_saturation:.0%} of the fields at their bounds")
    if health.accuracy_aug < config.least_accuracy * health.accuracy:
        reasons.append(
            f"F is right on {health.accuracy_aug:.0%} of x_aug, "
            f"on {health.accuracy:.0%} of x"
        )
    return "; ".join(reasons)


def harm_of_view(
    training: Training, round_: int, selection: ImageSet
) -> Float[Tensor, "M"]:
    """Loss of F on selection images after `round_` with the view, minus without (nats).

    The same images, noise and learning rates in both; the training is left as it was.
    """
    state = {name: tensor.clone() for name, tensor in training.tensors().items()}
    losses = []
    for strength in (training.strength, 0.0):
        training.transform.strength.fill_(strength)
        losses.append(_losses_after(training, round_, selection))
        training.load(state)
    return losses[0] - losses[1]


def _losses_after(
    training: Training, round_: int, selection: ImageSet
) -> Float[Tensor, "M"]:
    rounds = training.config.rounds
    steps = range(
        round_ * rounds.classifier_steps, (round_ + 1) * rounds.classifier_steps
    )
    training.views.begin_round(round_)
    for _ in fit_classifier(
        training.classifier,
        training.optimizers["classifier"],
        training.views_at,
        steps,
        training.config.classifier,
        num_steps=rounds.rounds * rounds.classifier_steps,
        world=training.world,
        loss_of=training.loss_of_views,
    ):
        pass
    training.classifier.eval()
    own, device = local_part(selection, training.world, CHUNK), training.device
    losses = [torch.zeros(0, dtype=training.dtype, device=device)]
    with torch.no_grad():
        for start in range(0, len(own), CHUNK):
            part = slice(start, start + CHUNK)
            x = to_float(own.images[part].to(device)).to(training.dtype)
            y = own.labels[part].to(device)
            losses.append(F.cross_entropy(training.classifier(x), y, reduction="none"))
    return training.world.gather(torch.cat(losses)).double()


def mean_and_error(harm: Float[Tensor, "M"]) -> tuple[float, float]:
    """Mean and its standard error; a single image proves nothing.

    >>> mean_and_error(torch.tensor([1.0, 3.0]))
    (2.0, 1.0)
    """
    if len(harm) < 2:
        return float(harm.mean()), float("inf")
    return float(harm.mean()), float(harm.std() / len(harm) ** 0.5)


def weaken(training: Training) -> None:
    """Halve the view's strength; give it up after the configured number of times."""
    minimum = 0.5**training.config.backoff.attempts
    halved = training.strength / 2
    training.transform.strength.fill_(halved if halved >= minimum else 0.0)

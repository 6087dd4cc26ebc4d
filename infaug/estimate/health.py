"""Signs of collapse, read off a batch of augmented images."""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.classify.loss import soft_cross_entropy
from infaug.config import EstimatorConfig
from infaug.estimate.learned_transform import LearnedTransform, tau_dropout, tau_noise
from infaug.randomness import Draws
from infaug.types import Classifier
from infaug.world import World

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


NAMES = tuple(field.name for field in fields(Health))


@torch.no_grad()
def health_of(
    transform: LearnedTransform,
    classifier: Classifier,
    x: Float[Tensor, "B C H W"],
    y: Float[Tensor, "B Y"],
    draws: Draws,
    config: EstimatorConfig,
    world: World,
) -> Health:
    """Health of E's views of this process's part of a batch; F in evaluation mode."""
    size = transform.config.tau_size
    tau = transform.estimator(x)
    noise, keep = tau_noise(config, size, draws), tau_dropout(config, size, draws)
    unbounded = transform.unbounded(x, noise, keep)
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
    means = world.gather(torch.stack(columns, dim=1)).double().mean(dim=0).tolist()
    return Health(**dict(zip(NAMES, means, strict=True)))

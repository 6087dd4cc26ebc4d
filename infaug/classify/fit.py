"""Training F: the optimizer, its schedule, and one step."""

from collections.abc import Callable, Iterator

import torch
from torch.optim import SGD, AdamW, Optimizer

from infaug.classify.batchnorm import merge_statistics
from infaug.classify.loss import weighted_views_loss
from infaug.classify.network import ImageClassifier
from infaug.config import ClassifierConfig
from infaug.descent import cosine, descend, set_rates
from infaug.precision import autocast
from infaug.types import Views
from infaug.world import World


def build_optimizer(classifier: ImageClassifier, config: ClassifierConfig) -> Optimizer:
    """AdamW, or SGD with Nesterov momentum 0.9, at the peak learning rate."""
    parameters, decay = classifier.parameters(), config.weight_decay
    if config.optimizer == "adam":
        return AdamW(parameters, lr=peak_rate(config), weight_decay=decay)
    assert config.optimizer == "sgd", "settled by the plan"
    return SGD(
        parameters,
        lr=peak_rate(config),
        momentum=0.9,
        nesterov=True,
        weight_decay=decay,
    )


def peak_rate(config: ClassifierConfig) -> float:
    """The settled learning rate."""
    assert config.learning_rate is not None, "settled by the plan"
    return config.learning_rate


def fit_classifier(
    classifier: ImageClassifier,
    optimizer: Optimizer,
    views_at: Callable[[int], Views],
    steps: range,
    config: ClassifierConfig,
    *,
    num_steps: int,
    world: World,
) -> Iterator[tuple[int, dict[str, float]]]:
    """Train F for `steps` of a schedule of `num_steps`, yielding after each one.

    Yields:
        (step, {"loss": nats, "gradient_norm", "learning_rate"}).

    Raises:
        ValueError: if loss or gradient is not finite.
    """
    classifier.train()
    for step in steps:
        rate = peak_rate(config) * cosine(step, num_steps)
        set_rates(optimizer, rate)
        loss, norm = classifier_step(
            classifier, optimizer, views_at(step), config, world
        )
        yield step, {"loss": loss, "gradient_norm": norm, "learning_rate": rate}


def classifier_step(
    classifier: ImageClassifier,
    optimizer: Optimizer,
    views: Views,
    config: ClassifierConfig,
    world: World,
) -> tuple[float, float]:
    """One step on the weighted views; returns the global loss and gradient norm.

    The loss is the mean over the global batch of the weighted sum over views (nats).
    """
    num_samples, num_views = views.x.shape[:2]
    x = views.x.flatten(0, 1)
    if config.channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    with autocast(x.device, config.precision):
        logits = classifier(x)
    loss = weighted_views_loss(
        logits.unflatten(0, (num_samples, num_views)), views.y, views.weights
    )
    result = descend(loss / config.batch_size, optimizer, world, name="classifier")
    merge_statistics(classifier, world)
    return result

"""Training F: the optimizer, its schedule, and one step."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from infaug.classify.backbone import LastPart
from infaug.classify.batchnorm import (
    forget_statistics,
    merge_statistics,
    set_groups,
    take_statistics,
)
from infaug.classify.image_classifier import ImageClassifier
from infaug.classify.loss import LossOfViews, weighted_views_loss
from infaug.config import ClassifierConfig
from infaug.descent import Guard, StepMetrics, cosine, runs_fused, set_rates, take_step
from infaug.precision import autocast
from infaug.state import take_average
from infaug.types import Views
from infaug.world import World

Learner = ImageClassifier | LastPart  # what a step goes through


def build_optimizer(classifier: nn.Module, config: ClassifierConfig) -> Optimizer:
    """AdamW, or SGD with Nesterov momentum 0.9, at the peak learning rate.

    Without `decay_norms` what has one dimension is a group of its own: biases, and the
    scales of normalisation layers. With `layer_decay` each layer is, and has its
    `share` of the rate.
    """
    parameters = [p for p in classifier.parameters() if p.requires_grad]
    decay, rate = config.weight_decay, peak_rate(config)
    fused = runs_fused(parameters)
    groups: list[dict[str, Any]] = [{"params": parameters}]
    if config.layer_decay != 1:
        groups = _layers(classifier, config.layer_decay)
    if not config.decay_norms:
        groups = [
            {**group, "params": kept, **changes}
            for group in groups
            for kept, changes in (
                ([p for p in group["params"] if p.ndim > 1], {}),
                ([p for p in group["params"] if p.ndim <= 1], {"weight_decay": 0.0}),
            )
        ]
    if config.optimizer == "adam":
        return AdamW(groups, rate, config.betas, weight_decay=decay, fused=fused)
    assert config.optimizer == "sgd", "resolved by the plan"
    return SGD(
        groups, lr=rate, momentum=0.9, nesterov=True, weight_decay=decay, fused=fused
    )


def _layers(classifier: nn.Module, first: float) -> list[dict[str, Any]]:
    """The layers that learn, in order, with rates from about `first` up to 1."""
    layers: dict[str, list[Tensor]] = {}
    for name, parameter in classifier.named_parameters():
        if parameter.requires_grad:
            layers.setdefault(name.rpartition(".")[0], []).append(parameter)
    last = max(len(layers) - 1, 1)
    return [
        {"params": parameters, "share": first ** (1 - k / last)}
        for k, parameters in enumerate(layers.values())
    ]


def peak_rate(config: ClassifierConfig) -> float:
    """The resolved learning rate."""
    assert config.learning_rate is not None, "resolved by the plan"
    return config.learning_rate


def fit_classifier(
    classifier: Learner,
    optimizer: Optimizer,
    views_at: Callable[[int], Views],
    steps: range,
    config: ClassifierConfig,
    *,
    num_steps: int,
    world: World,
    loss_of: LossOfViews = weighted_views_loss,
    average: nn.Module | None = None,
) -> Iterator[tuple[int, StepMetrics]]:
    """Train F for `steps` of a schedule of `num_steps`, yielding after each one.

    What is minimised is the mean over the global batch of what `loss_of` logits, labels
    and weights sums (nats). `average` follows F's weights, by `config.ema` of them.

    Yields:
        (step, {"loss": nats, "gradient_norm", "learning_rate"}).

    Raises:
        ValueError: at the last step, or where metrics are looked at, if loss or
            gradient is not finite; no step is taken from there on.
    """
    classifier.train()
    guard = Guard()
    for step in steps:
        rate = peak_rate(config) * share_of_peak(step, num_steps, config)
        groups = optimizer.param_groups
        set_rates(optimizer, *(rate * group.get("share", 1.0) for group in groups))
        views = _views(views_at, step)
        losses = partial(_losses, classifier, views, config, world, loss_of)
        loss, norm = _fitting_step(classifier, losses, optimizer, config, world, guard)
        if average is not None:
            # The first weights would else be remembered too long.
            kept = min(config.ema, (1 + step) / (10 + step))
            take_average(average, classifier, kept)
        found = {"loss": loss, "gradient_norm": norm, "learning_rate": rate}
        metrics = StepMetrics(found, guard)
        yield step, metrics
        if step == steps[-1]:
            dict(metrics)  # Refuses what was not finite, if nobody looked.


def _views(views_at: Callable[[int], Views], step: int) -> Views:
    """The views of a step, a second time if memory was in pieces the first time."""
    with suppress(torch.OutOfMemoryError):
        return views_at(step)
    torch.cuda.empty_cache()
    try:
        return views_at(step)
    except torch.OutOfMemoryError as error:
        raise ValueError(
            "GPU memory is too small for the views of a batch: lower "
            "--classifier.batch-size or --classifier.views, or use more workers"
        ) from error


def share_of_peak(step: int, num_steps: int, config: ClassifierConfig) -> float:
    """The learning rate at `step`, as a share of its peak.

    >>> steps = ClassifierConfig(schedule="steps", warmup=0.01)
    >>> [round(share_of_peak(s, 270, steps), 4) for s in (0, 89, 90, 180, 240)]
    [0.3704, 1.0, 0.1, 0.01, 0.001]
    """
    grown = min((step + 1) / max(config.warmup * num_steps, 1), 1.0)
    if config.schedule == "cosine":
        return grown * cosine(step, num_steps)
    passed = sum(step >= round(share * num_steps) for share in config.milestones)
    return grown * 0.1**passed


def _fitting_step(
    classifier: Learner,
    losses: Callable[[int], Iterator[Tensor]],
    optimizer: Optimizer,
    config: ClassifierConfig,
    world: World,
    guard: Guard,
) -> tuple[Tensor, Tensor]:
    """A step in twice as many parts of whole groups until F fits into GPU memory.

    Raises:
        ValueError: if F does not fit with one group at a time.
    """
    num_groups = len(world.share(config.batch_groups))
    statistics: list[Tensor] = []

    def beside() -> list[Tensor]:
        statistics[:] = take_statistics(classifier)
        return statistics

    while True:
        parts = min(max(config.microbatches, classifier.parts_that_fit), num_groups)
        try:
            found = take_step(
                losses(parts), optimizer, world, guard, name="classifier",
                num_losses=parts, compress=config.bfloat16_gradients,
                beside=beside,
            )  # fmt: skip
        except torch.OutOfMemoryError as error:
            forget_statistics(classifier)
            torch.cuda.empty_cache()
            if parts == num_groups:
                raise ValueError(
                    "GPU memory is too small for F with one group of "
                    f"{config.batch_size // config.batch_groups} images at a time: "
                    "raise --classifier.batch-groups or lower --classifier.batch-size"
                ) from error
            parts = classifier.parts_that_fit = min(2 * parts, num_groups)
            warnings.warn(
                f"out of GPU memory: each worker's part of a batch goes through F in "
                f"{parts} parts from here on (--classifier.microbatches {parts}); the "
                "batch stays as large",
                stacklevel=2,
            )
        else:
            assert guard.passed is not None
            merge_statistics(classifier, statistics, guard.passed)
            return found


def _losses(
    classifier: nn.Module,
    views: Views,
    config: ClassifierConfig,
    world: World,
    loss_of: LossOfViews,
    parts: int,
) -> Iterator[Tensor]:
    """The losses of `parts` of whole groups, which add up to that of the batch.

    Parts have as many groups but for one.
    """
    num_groups = len(world.share(config.batch_groups))
    size = len(views.y) // num_groups
    for groups in torch.arange(num_groups).tensor_split(parts):
        rows = slice(int(groups[0]) * size, (int(groups[-1]) + 1) * size)
        set_groups(classifier, len(groups))
        piece = views.x[rows], views.y[rows], views.weights[rows]
        yield _loss(classifier, *piece, config, loss_of)


def _loss(
    classifier: nn.Module,
    views: Float[Tensor, "b K ..."],
    y: Float[Tensor, "b K Y"],
    weights: Float[Tensor, "b K"],
    config: ClassifierConfig,
    loss_of: LossOfViews,
) -> Tensor:
    """These samples' part of the loss."""
    if config.label_smoothing:
        y = y.lerp(torch.full_like(y, 1 / y.shape[-1]), config.label_smoothing)
    x = views.flatten(0, 1)
    if config.channels_last and x.ndim == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    with autocast(x.device, config.precision):
        logits = classifier(x).unflatten(0, views.shape[:2])
    return loss_of(logits, y, weights) / config.batch_size

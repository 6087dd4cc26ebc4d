"""Training E, and G with it: the predicted influence of x_aug is minimised.

F and S are constants here; the gradient flows through F into the images and on into G
and E. Another score of images can take the place of influence.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Adam, Optimizer

from infaug.config import EstimatorConfig, InfluenceConfig
from infaug.descent import Guard, StepMetrics, cosine, runs_fused, set_rates, take_step
from infaug.estimate.learned_transform import LearnedTransform, tau_dropout, tau_noise
from infaug.influence.score import relative_influence, upweight_influence, with_bias
from infaug.precision import autocast
from infaug.randomness import RandomNumbers
from infaug.types import Classifier
from infaug.world import World

Batch = tuple[Float[Tensor, "B C H W"], Float[Tensor, "B Y"], RandomNumbers]

# (step, x_aug, y) -> a score of each image; their mean over a global batch is to fall.
Scores = Callable[[int, Tensor, Tensor], Float[Tensor, "B"]]


@dataclass(frozen=True, eq=False)
class InfluenceScores:
    """Predicted influence of x_aug over |S|, through F in evaluation mode."""

    classifier: Classifier
    s_val: Float[Tensor, "Y D1"]
    config: InfluenceConfig
    precision: str

    def __call__(
        self, step: int, x_aug: Float[Tensor, "B C H W"], y: Float[Tensor, "B Y"]
    ) -> Float[Tensor, "B"]:
        """Of each image; the same at every step."""
        with autocast(x_aug.device, self.precision):
            h = self.classifier.features(x_aug)
        h = h.to(self.s_val.dtype)
        scores = influence_of(self.classifier, self.s_val, h, y, self.config)
        return scores / self.s_val.norm()


def build_optimizer(transform: LearnedTransform, config: EstimatorConfig) -> Optimizer:
    """Adam for E and G; betas as the papers have them for E."""
    return Adam(
        [
            {"params": transform.estimator.parameters(), "lr": config.learning_rate},
            {
                "params": transform.generator.parameters(),
                "lr": config.generator_learning_rate,
            },
        ],
        betas=(0.9, 0.99),
        fused=runs_fused(transform.parameters()),
    )


def fit_estimator(
    transform: LearnedTransform,
    optimizer: Optimizer,
    scores_of: Scores,
    batch_at: Callable[[int], Batch],
    steps: range,
    config: EstimatorConfig,
    *,
    num_steps: int,
    precision: str,
    world: World,
) -> Iterator[tuple[int, StepMetrics]]:
    """Train E and G for `steps` of a schedule of `num_steps`, yielding after each.

    Yields:
        (step, {"objective", "gradient_norm"}): the mean over the global batch of
        `scores_of` x_aug and of the penalty on fields; negative where augmenting is
        predicted to help.

    Raises:
        ValueError: at the last step, or where metrics are looked at, if the objective
            or its gradient is not finite; no step is taken from there on.
    """
    transform.train()
    guard = Guard()
    for step in steps:
        share = cosine(step, num_steps)
        rates = (config.learning_rate, config.generator_learning_rate)
        set_rates(optimizer, *(share * rate for rate in rates))
        x, y, rng = batch_at(step)
        noise = tau_noise(config, transform.config.tau_size, rng)
        mask = tau_dropout(config, transform.config.tau_size, rng)
        images = (x, y, noise, mask)
        losses = partial(_losses, transform, scores_of, step, images, config, precision)
        # A step of F ahead is a step on all images.
        max_parts = len(x) if isinstance(scores_of, InfluenceScores) else 1
        objective, norm = _fitting_step(
            transform, losses, max_parts, optimizer, world, guard
        )
        metrics = StepMetrics({"objective": objective, "gradient_norm": norm}, guard)
        yield step, metrics
        if step == steps[-1]:
            dict(metrics)  # Refuses what was not finite, if nobody looked.


def _fitting_step(
    transform: LearnedTransform,
    losses: Callable[[int], Iterator[Tensor]],
    max_parts: int,
    optimizer: Optimizer,
    world: World,
    guard: Guard,
) -> tuple[Tensor, Tensor]:
    """A step in twice as many parts, `max_parts` at most, until it fits into memory."""
    while True:
        parts = min(transform.parts_that_fit, max_parts)
        try:
            return take_step(
                losses(parts), optimizer, world, guard, name="estimator",
                num_losses=parts,
            )  # fmt: skip
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            if parts == max_parts:
                raise ValueError(
                    "GPU memory is too small for a step of E: lower "
                    "--estimator.batch-size, or use more workers"
                ) from error
            transform.parts_that_fit = min(2 * parts, max_parts)


def _losses(
    transform: LearnedTransform,
    scores_of: Scores,
    step: int,
    images: tuple[Tensor, Tensor, Tensor, Tensor | None],
    config: EstimatorConfig,
    precision: str,
    parts: int,
) -> Iterator[Tensor]:
    """The losses of parts of a batch, which add up to that of the batch."""
    x, y, noise, mask = images
    for numbers in torch.arange(len(x)).tensor_split(parts):
        rows = slice(int(numbers[0]), int(numbers[-1]) + 1)
        part = None if mask is None else mask[rows]
        with autocast(x.device, precision):
            fields = transform.unbounded(x[rows], noise[rows], part)
            x_aug = transform.render(x[rows], fields)
        scores = scores_of(step, x_aug, y[rows])
        scores = scores + config.field_penalty * fields.square().mean((1, 2, 3))
        yield scores.sum() / config.batch_size


def influence_of(
    classifier: Classifier,
    s_val: Float[Tensor, "Y D1"],
    h: Float[Tensor, "B D"],
    y: Float[Tensor, "B Y"],
    config: InfluenceConfig,
) -> Float[Tensor, "B"]:
    """The score E minimises, of images with features `h`: see `influence.score`."""
    with torch.autocast(h.device.type, enabled=False):
        probs = classifier.head(h).softmax(dim=1)
        if config.objective == "raw":
            return upweight_influence(s_val, probs, y, with_bias(h))
        return relative_influence(
            s_val, probs, y, with_bias(h), norm_floor=config.norm_floor
        )

"""Fitting G once, against critics, on random tau.

G shall make what critics take for real: images (and F's features of them) and flows.
Losses are of the whole batch, exactly, however many processes share it: see
`objective.whole_batch`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.config import AdversarialConfig
from infaug.descent import Guard, StepMetrics, cosine, set_rates, take_step
from infaug.randomness import RandomNumbers
from infaug.state import take_average
from infaug.transform.affine_flows import random_affine_flows
from infaug.transform.critics import Adversaries
from infaug.transform.fields import apply_fields
from infaug.transform.generator import Generator
from infaug.transform.objective import (
    gradient_penalty,
    inverse_mse,
    local_loss,
    relativistic_average_critic_loss,
    relativistic_average_generator_loss,
    squared_error,
    wasserstein_critic_loss,
    wasserstein_generator_loss,
    whole_batch,
)
from infaug.transform.spatial import flow_of, pixel_grid
from infaug.world import World

CRITIC_LOSS = {
    "wgan_gp": wasserstein_critic_loss,
    "ragan": relativistic_average_critic_loss,
}
GENERATOR_LOSS = {
    "wgan_gp": wasserstein_generator_loss,
    "ragan": relativistic_average_generator_loss,
}


@dataclass(frozen=True)
class Batch:
    """What one update sees: this process's part.

    Attributes:
        x: images that G transforms.
        real: images that critics take for real: x, or base-augmented images.
        rng: of this update alone; makes tau, real flows and mixing shares.
    """

    x: Float[Tensor, "B C H W"]
    real: Float[Tensor, "B C H W"]
    rng: RandomNumbers


Features = Callable[[Tensor], Tensor]


def fit_generator(
    state: Adversaries,
    batch_at: Callable[[int], Batch],
    steps: range,
    config: AdversarialConfig,
    *,
    features_of: Features | None = None,
    world: World,
) -> Iterator[tuple[int, StepMetrics]]:
    """Fit G and its critics for `steps`, yielding after each update of G.

    Args:
        state: changed in place; a function of itself and the steps.
        batch_at: of the n-th update of anything: a step takes one batch for each
            update of the critics, then one for G's.
        steps: those to take now, of `config.steps`.
        config: variant, rates and weights.
        features_of: F's features, differentiable, if there is a feature critic. F must
            be in evaluation mode; it is not changed.
        world: who shares the batches.

    Yields:
        (step, what `critics_step` and `generator_step` say last).

    Raises:
        ValueError: if `features_of` is missing; at the last step, or where metrics are
            looked at, if a loss or a gradient is not finite; no step is taken from
            there on.
    """
    if "feature" in state.critics and features_of is None:
        raise ValueError(
            "a feature critic needs F: pass features_of=classifier.features"
        )
    state.generator.train()
    num_updates, guard = config.critic_steps + 1, Guard()
    for step in steps:
        # Critics keep their rate: a G that resolves still needs critics that see it.
        share = cosine(step, config.steps)
        set_rates(state.optimizers["generator"], share * config.generator_learning_rate)
        found: dict[str, Tensor] = {}
        updates = range(step * num_updates, (step + 1) * num_updates)
        for update in updates[:-1]:
            found = critics_step(
                state, batch_at(update), config, features_of, world, guard
            )
        found |= generator_step(
            state, batch_at(updates[-1]), config, features_of, world, guard
        )
        take_average(state.average, state.generator, config.average)
        metrics = StepMetrics(found, guard)
        yield step, metrics
        if step == steps[-1]:
            dict(metrics)  # Refuses what was not finite, if nobody looked.


def critics_step(
    state: Adversaries,
    batch: Batch,
    config: AdversarialConfig,
    features_of: Features | None,
    world: World,
    guard: Guard,
) -> dict[str, Tensor]:
    """One update of every critic; G stays.

    Returns:
        For each critic: its loss (penalty included), the mean gradient penalty, the
        distance (mean score of real minus fake) and the norm of its gradient.
    """
    with torch.no_grad():
        real = critic_inputs(state, batch.real, real_flows(batch, config), features_of)
        fake = critic_inputs(state, *transformed(state.generator, batch), features_of)
    metrics = {}
    for name, critic in state.critics.items():
        mix = batch.rng.fork("mix", name).uniform(0, 1).to(batch.x.dtype)
        penalty = torch.zeros_like(mix)
        if config.gradient_penalty > 0:
            penalty = gradient_penalty(critic, real[name], fake[name], mix)
        rows = torch.stack([critic(real[name]), critic(fake[name]), penalty], dim=1)
        of_real, of_fake, penalties = whole_batch(rows, world).unbind(1)
        loss = CRITIC_LOSS[config.fit](of_real, of_fake)
        loss = loss + config.gradient_penalty * penalties.mean()
        total, norm = take_step(
            [local_loss(loss, world)],
            state.optimizers[name],
            world,
            guard,
            name=f"{name}_critic",
        )
        metrics |= {
            f"{name}_critic_loss": total,
            f"{name}_penalty": penalties.detach().mean(),
            f"{name}_distance": (of_real - of_fake).detach().mean(),
            f"{name}_gradient_norm": norm,
        }
    return metrics


def generator_step(
    state: Adversaries,
    batch: Batch,
    config: AdversarialConfig,
    features_of: Features | None,
    world: World,
    guard: Guard,
) -> dict[str, Tensor]:
    """One update of G; critics stay.

    Returns:
        G's loss, the norm of its gradient, and the MSE of images and flows from the
        identity.
    """
    x_aug, flow = transformed(state.generator, batch)
    fake = critic_inputs(state, x_aug, flow, features_of)
    with torch.no_grad():
        real = critic_inputs(state, batch.real, real_flows(batch, config), features_of)
        of_real = [critic(real[name]) for name, critic in state.critics.items()]
    of_fake = [critic(fake[name]) for name, critic in state.critics.items()]
    grid = pixel_grid(*flow.shape[1:3], like=flow).expand_as(flow)
    errors = [squared_error(x_aug, batch.x), squared_error(flow, grid)]
    rows = whole_batch(torch.stack([*of_real, *of_fake, *errors], dim=1), world)
    *scores, image_errors, flow_errors = rows.unbind(1)
    pairs = zip(scores[: len(of_real)], scores[len(of_real) :], strict=True)
    losses = [GENERATOR_LOSS[config.fit](*pair) for pair in pairs]
    weighted = [
        (config.image_weight if name == "image" else 1) * loss
        for name, loss in zip(state.critics, losses, strict=True)
    ]
    loss = (
        sum(weighted)
        + config.image_inverse_mse * inverse_mse(image_errors, config.mse_floor)
        + config.flow_inverse_mse * inverse_mse(flow_errors, config.mse_floor)
    )
    total, norm = take_step(
        [local_loss(loss, world)],
        state.optimizers["generator"],
        world,
        guard,
        name="generator",
    )
    return {
        "generator_loss": total,
        "generator_gradient_norm": norm,
        "image_mse": image_errors.detach().mean(),
        "flow_mse": flow_errors.detach().mean(),
    }


def transformed(generator: Generator, batch: Batch) -> tuple[Tensor, Tensor]:
    """Images and flows of G with tau uniform in [-1, 1]^T: our choice of prior."""
    config = generator.config
    tau = batch.rng.fork("tau").uniform(-1, 1, config.tau_size)
    fields = generator(tau.to(batch.x.dtype))
    flow = flow_of(fields.matrix, fields.offset)
    return apply_fields(batch.x, fields, padding=config.padding), flow


def real_flows(batch: Batch, config: AdversarialConfig) -> Float[Tensor, "B H W 2"]:
    """Random affine flows in the images' precision."""
    rng, size = batch.rng.fork("affine"), batch.x.shape[2:]
    return random_affine_flows(rng, config.affine, *size).to(batch.x.dtype)


def critic_inputs(
    state: Adversaries,
    image: Float[Tensor, "B C H W"],
    flow: Float[Tensor, "B H W 2"],
    features_of: Features | None,
) -> dict[str, Tensor]:
    """What each critic is shown, by name."""
    seen = {"image": image, "flow": flow}
    if "feature" in state.critics:
        assert features_of is not None, "fit_generator refuses this"
        seen["feature"] = features_of(image)
    return {name: seen[name] for name in state.critics}

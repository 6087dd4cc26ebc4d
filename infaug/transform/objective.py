"""What critics and G minimise. Scores of the whole batch in, one number out.

Every critic loss has the same signature, and so has every generator loss, which makes
the two GANs comparable line by line. `real` and `fake` are critic scores. Two of the
formulas are no sums over samples, so processes that share a batch exchange scores, not
losses: see `whole_batch`.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from infaug.config import AffineRanges
from infaug.randomness import RandomNumbers
from infaug.transform.affine_flows import AffineParameters, decompose, fit_affine
from infaug.transform.fields import apply_fields
from infaug.transform.generator import Generator
from infaug.transform.spatial import flow_of, pixel_grid
from infaug.world import World


def wasserstein_critic_loss(
    real: Float[Tensor, "B"], fake: Float[Tensor, "B"]
) -> Float[Tensor, ""]:
    """Minus the critic's estimate of the Wasserstein-1 distance: mean f - mean r.

    Arjovsky et al., 2017, eq. 2. An estimate only as far as the critic is 1-Lipschitz:
    add `gradient_penalty`.
    """
    return fake.mean() - real.mean()


def wasserstein_generator_loss(
    real: Float[Tensor, "B"], fake: Float[Tensor, "B"]
) -> Float[Tensor, ""]:
    """The critic's estimate of the Wasserstein-1 distance: mean r - mean f.

    The usual -mean f plus a constant, by which the value is a distance.
    """
    return real.mean() - fake.mean()


def relativistic_average_critic_loss(
    real: Float[Tensor, "B"], fake: Float[Tensor, "B"]
) -> Float[Tensor, ""]:
    """Cross entropy of "real scores exceed the mean fake score", and the reverse.

    -mean log s(r - mean f) - mean log(1 - s(f - mean r)), s the logistic function,
    in nats: 2 log 2 if scores say nothing (Jolicoeur-Martineau, 2018, RaSGAN).
    """
    real_over_fake, fake_over_real = real - fake.mean(), fake - real.mean()
    return F.softplus(-real_over_fake).mean() + F.softplus(fake_over_real).mean()


def relativistic_average_generator_loss(
    real: Float[Tensor, "B"], fake: Float[Tensor, "B"]
) -> Float[Tensor, ""]:
    """The critic's loss with real and fake exchanged (Jolicoeur-Martineau, 2018)."""
    return relativistic_average_critic_loss(fake, real)


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Float[Tensor, "B *shape"],
    fake: Float[Tensor, "B *shape"],
    mix: Float[Tensor, "B"],
) -> Float[Tensor, "B"]:
    """How far the critic's slope is from 1, between real and fake samples.

    (|grad_z critic(z)| - 1)^2 at z = mix * real + (1 - mix) * fake, one value a sample;
    the loss takes 10 times their mean (Gulrajani et al., 2017, eq. 3). Differentiable
    in the critic's weights; `real` and `fake` are constants.
    """
    share = mix.view(-1, *(1,) * (real.ndim - 1))
    between = (share * real + (1 - share) * fake).detach().requires_grad_()
    # Scores are independent of each other: the sum's gradient is each one's own.
    score = critic(between).sum()
    (slope,) = torch.autograd.grad(score, between, create_graph=True)
    return (torch.linalg.vector_norm(slope.flatten(1), dim=1) - 1).square()


def squared_error(
    a: Float[Tensor, "B *shape"], b: Float[Tensor, "B *shape"]
) -> Float[Tensor, "B"]:
    """Mean over one sample's entries of (a - b)^2."""
    return (a - b).square().flatten(1).mean(dim=1)


def inverse_mse(errors: Float[Tensor, "B"], floor: float) -> Float[Tensor, ""]:
    """1 / (MSE + floor), with the MSE over the whole batch: keeps G off the identity.

    `errors` are the samples' `squared_error`s. Lee et al. (ICLR 2019 submission,
    section 4.3) name the inverse of the MSE without a formula. We average before
    inverting: a mean of inverses would forbid single samples near the identity, which
    the real flows have. Differs from the paper: 1/MSE is infinite at the identity, the
    floor bounds it by 1/floor.
    """
    return 1 / (errors.mean() + floor)


def whole_batch(part: Float[Tensor, "b R"], world: World) -> Float[Tensor, "B R"]:
    """Rows of all processes in rank order; only this process's have a gradient.

    A loss of these rows, which may be any function of them, has here the gradient due
    to this process's samples; over processes these add up to the whole gradient.
    """
    if world.size == 1:
        return part
    rows = world.gather(part.detach())
    counts = world.gather(torch.tensor([len(part)], device=part.device))
    start = int(counts[: world.rank].sum())
    return torch.cat([rows[:start], part, rows[start + len(part) :]])


def local_loss(loss: Float[Tensor, ""], world: World) -> Float[Tensor, ""]:
    """A loss of `whole_batch`, with its value shared equally and its gradient kept.

    What `descend` asks for: values and gradients that add up over processes.
    """
    return loss - loss.detach() + loss.detach() / world.size


NAMES = ("rotation", "shear", "scale_x", "scale_y", "translation_x", "translation_y")
QUANTILES = (0.05, 0.95)
BEYOND = 0.1


@torch.no_grad()
def measure_reach(
    generator: Generator,
    x: Float[Tensor, "B C H W"],
    rng: RandomNumbers,
    ranges: AffineRanges,
) -> dict[str, float]:
    """What random tau does to these images, one tau each.

    Returns:
        For each affine parameter that has a range its 5 % and 95 % quantile, as
        `NAME_low` and `NAME_high`, where -1 and 1 are the ends of its range; `inside`,
        the share of flows all of whose parameters that have one lie in [-1.1, 1.1];
        `flow_mse` and `image_mse` from the identity. A flow that is not affine counts
        as the closest affine map.
    """
    config = generator.config
    fields = generator(rng.uniform(-1, 1, config.tau_size).to(x.dtype))
    flow = flow_of(fields.matrix, fields.offset)
    x_aug = apply_fields(x, fields, padding=config.padding)
    where = positions(decompose(fit_affine(flow.double()), *flow.shape[1:3]), ranges)
    found: dict[str, float] = {}
    is_inside = torch.ones(len(x), dtype=torch.bool, device=x.device)
    for name, places in where.items():
        low, high = places.quantile(places.new_tensor(QUANTILES)).tolist()
        found |= {f"{name}_low": low, f"{name}_high": high}
        is_inside &= places.abs() <= 1 + BEYOND
    grid = pixel_grid(*flow.shape[1:3], like=flow).expand_as(flow)
    return found | {
        "inside": float(is_inside.double().mean()),
        "flow_mse": float(squared_error(flow, grid).mean()),
        "image_mse": float(squared_error(x_aug, x).mean()),
    }


def positions(
    parameters: AffineParameters, ranges: AffineRanges
) -> dict[str, Float[Tensor, "B"]]:
    """Where each parameter lies in its range: -1 and 1 are the ends, 0 the middle.

    Scales are placed by their logarithm, as they are drawn; mirroring counts as 1e-3. A
    range that is one number has no places: its parameter is left out.
    """
    scale = torch.tensor(ranges.scale, dtype=torch.float64).log()
    middle, half = scale.mean(), float(scale[1] - scale[0]) / 2
    values = (
        parameters.rotation_deg,
        parameters.shear_deg,
        *(parameters.scale.clamp(min=1e-3).log() - middle).unbind(1),
        *parameters.translation.unbind(1),
    )
    shift = ranges.translate
    ends = (ranges.degrees, ranges.shear_deg, half, half, shift, shift)
    return {
        name: value / end
        for name, value, end in zip(NAMES, values, ends, strict=True)
        if end > 0
    }

"""One repeat of LiSSA: x <- x + (b - (H_batch + damping I) x) / scale, averaged.

Nobody has to guess the scale: it is at most a certified bound, and as far below it as
the minibatches met allow.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from infaug.influence.operator import Damped, Sampled
from infaug.randomness import SeedKey, generator

MARGIN = 1.25  # above the largest minibatch curvature that the search met
SEARCH_STEPS = 20  # of power iteration, each on another minibatch

ALWAYS_CHECKED = 16  # first steps: a scale that is too small shows at once
CHECK_EVERY = 8  # steps from there on; a check costs a tenth of a small step


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What all repeats share, resolved before the first."""

    batch_size: int
    """Samples in each step."""
    num_steps: int
    """Of each repeat."""
    scale: float
    """Its inverse is the step size to begin with."""
    wanted: int
    """Steps that damping asks for."""
    share: float
    """Of a full product that a step costs."""


def plan_repeats(
    operator: Damped,
    b: Float[Tensor, "*R Y D1"],
    *,
    seed: tuple[SeedKey, ...],
    rtol: float,
    max_products: int,
    batch_size: int,
    num_repeats: int,
    num_steps: int | None = None,
) -> Plan:
    """The plan that `lissa` describes; a function of its arguments."""
    hessian = operator.operator
    assert isinstance(hessian, Sampled)
    batch_size = min(batch_size, hessian.num_samples)
    scale = find_scale(operator, b, seed=seed, batch_size=batch_size)
    wanted = depth(scale, operator.damping, rtol)
    share = batch_size / hessian.num_samples
    affordable = max(1, math.floor((max_products - 1) / (share * num_repeats)))
    return Plan(
        batch_size=batch_size,
        num_steps=num_steps or min(wanted, affordable),
        scale=scale,
        wanted=wanted,
        share=share,
    )


@dataclass(frozen=True)
class Recursion:
    """One run of the recursion: the mean of its second half."""

    value: Float[Tensor, "*R Y D1"]
    num_steps: int
    scale: float
    """Its inverse is the step size; what it ended with."""
    is_diverged: bool
    """Whether x outgrew |b| / damping, which no solution does."""


def find_scale(
    operator: Damped,
    b: Float[Tensor, "*R Y D1"],
    *,
    seed: tuple[SeedKey, ...],
    batch_size: int,
) -> float:
    """A scale that makes the recursion contract, from `SEARCH_STEPS` minibatches.

    Power iteration through one minibatch after another; the largest growth met, with a
    margin, but never more than is certified: `curvature_bound` + damping.
    """
    hessian = operator.operator
    assert isinstance(hessian, Sampled)
    v, met = b / b.norm(), 0.0
    batches = _Minibatches(hessian, (*seed, "scale"), batch_size)
    for step in range(SEARCH_STEPS):
        v = hessian.minibatch(batches.at(step).to(b.device)) @ v
        growth = float(v.norm())
        if not math.isfinite(growth):
            raise ValueError(
                f"a minibatch gave curvature {growth}: look for NaN or infinity in "
                "the features or probabilities behind the operator"
            )
        if growth == 0:  # these samples have no curvature along v
            v = b / b.norm()
            continue
        met, v = max(met, growth), v / growth
    return min(MARGIN * met, hessian.curvature_bound()) + operator.damping


def depth(scale: float, damping: float, rtol: float) -> int:
    """Steps after which the slowest direction has come within `rtol`.

    It shrinks by 1 - damping / scale a step, through the half that is not averaged.
    """
    return math.ceil(2 * scale / damping * math.log(1 / rtol))


def recursion(
    operator: Damped,
    b: Float[Tensor, "*R Y D1"],
    *,
    seed: tuple[SeedKey, ...],
    x0: Float[Tensor, "*R Y D1"],
    plan: Plan,
) -> Recursion:
    """One repeat, a function of its arguments: it can run anywhere.

    The scale is raised to any larger minibatch curvature met.
    """
    hessian = operator.operator
    assert isinstance(hessian, Sampled)
    batches = _Minibatches(hessian, seed, plan.batch_size)
    scale, num_steps = plan.scale, plan.num_steps
    bound = 2 * (norm_of(b) / operator.damping + norm_of(x0))
    x, total, num_averaged = x0.clone(), torch.zeros_like(b), 0
    for step in range(num_steps):
        curved = hessian.minibatch(batches.at(step).to(b.device)) @ x
        if step < ALWAYS_CHECKED or step % CHECK_EVERY == 0:
            norm = norm_of(x)
            if not norm < bound:
                return Recursion(x, step, scale, True)
            if norm > 0:
                scale = max(scale, norm_of(curved) / norm + operator.damping)
        x.mul_(1 - operator.damping / scale).add_(b - curved, alpha=1 / scale)
        if step >= num_steps // 2:
            total += x
            num_averaged += 1
    return Recursion(total / num_averaged, num_steps, scale, not norm_of(x) < bound)


class _Minibatches:
    """Rows of every step: each epoch is a fresh permutation, its tail left out."""

    def __init__(self, hessian: Sampled, seed: tuple[SeedKey, ...], batch_size: int):
        self.num_samples = hessian.num_samples
        self.seed = seed
        self.batch_size = min(batch_size, hessian.num_samples)
        self.per_epoch = self.num_samples // self.batch_size
        self.epoch, self.order = -1, torch.zeros(0, dtype=torch.int64)

    def at(self, step: int) -> Int64[Tensor, "n"]:
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self.epoch:
            rng = generator(*self.seed, "lissa", epoch)
            self.epoch = epoch
            self.order = torch.randperm(self.num_samples, generator=rng)
        return self.order[place * self.batch_size : (place + 1) * self.batch_size]


def norm_of(v: Tensor) -> float:
    """|v|, summed in float64."""
    return float(torch.linalg.vector_norm(v, dtype=torch.float64))

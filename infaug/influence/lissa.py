"""LiSSA: solve A x = b from minibatches of the Hessian.

x <- x + (b - (H_batch + damping I) x) / scale. Nobody has to guess the scale: it is at
most a certified bound, and as far below it as the minibatches met allow.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from infaug.influence.damped import Damped
from infaug.influence.operator import Sampled, finite
from infaug.influence.solution import Solution
from infaug.randomness import Purpose, generator

MARGIN = 1.25  # above the largest minibatch curvature that the search met
SEARCH_STEPS = 20  # of power iteration, each on another minibatch

ALWAYS_CHECKED = 16  # first steps: a scale that is too small shows at once
CHECK_EVERY = 8  # steps from there on; a check costs a tenth of a small step


@dataclass(frozen=True)
class Recursion:
    """One run of the recursion: the mean of its second half."""

    value: Float[Tensor, "*R Y D1"]
    num_steps: int
    scale: float
    """Its inverse is the step size; what it ended with."""
    is_diverged: bool
    """Whether x outgrew |b| / damping, which no solution does."""


def lissa(
    operator: Damped,
    b: Float[Tensor, "*R Y D1"],
    *,
    seed: tuple[Purpose, ...],
    rtol: float,
    max_products: int,
    x0: Float[Tensor, "*R Y D1"] | None = None,
    batch_size: int = 256,
    num_repeats: int = 2,
    num_steps: int | None = None,
    scale: float | None = None,
) -> Solution:
    """Solve (H + damping I) x = b by independent recursions, and average them.

    The residual is computed from the mean with one full product, and `spread` from the
    repeats: the standard error of the mean over its norm, the error that minibatches
    leave. What all repeats share, such as too few steps, only the residual shows.

    Source: Agarwal, Bullins & Hazan 2017; for s_val, Koh & Liang 2017, section 3.
    Differs from them: the scale is found, samples are reshuffled instead of drawn, and
    the second half of the steps is averaged instead of the last one kept.

    Args:
        operator: `Damped` around an operator of minibatches.
        b: one or several right-hand sides.
        seed: what the minibatches are drawn by.
        rtol: relative residual that counts as converged.
        max_products: full products' worth of minibatches to spend at most, over all
            repeats.
        x0: where every repeat starts; None: zero.
        batch_size: samples in each step.
        num_repeats: independent recursions; their spread needs two.
        num_steps: of each; None: as many as `depth` says, if max_products allows.
        scale: None: found by `find_scale`; a given one is taken as it is.

    Raises:
        ValueError: if b or a product is not finite, or `operator` has no minibatches.
    """
    hessian = operator.operator
    if not isinstance(hessian, Sampled):
        raise ValueError(
            f"lissa needs minibatches, which {type(hessian).__name__} does not have: "
            "use cg or pcg"
        )
    b = finite(b, "the right-hand side")
    norm_b = _norm(b)
    if norm_b == 0:
        return Solution(
            torch.zeros_like(b), "the right-hand side is zero", True, 0, 0.0
        )
    batch_size = min(batch_size, hessian.num_samples)
    settled = find_scale(operator, b, seed=seed, batch_size=batch_size)
    wanted = depth(settled, operator.damping, rtol)
    share = batch_size / hessian.num_samples
    affordable = max(1, int((max_products - 1) / (share * num_repeats)))
    start = torch.zeros_like(b) if x0 is None else finite(x0, "x0").to(b.dtype)
    repeats = [
        recursion(
            operator,
            b,
            seed=(*seed, repeat),
            x0=start,
            batch_size=batch_size,
            num_steps=num_steps or min(wanted, affordable),
            scale=scale or settled,
            is_fixed=scale is not None,
        )
        for repeat in range(num_repeats)
    ]
    return combine(operator, b, repeats, rtol=rtol, wanted=wanted, share=share)


def find_scale(
    operator: Damped,
    b: Float[Tensor, "*R Y D1"],
    *,
    seed: tuple[Purpose, ...],
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
                "the features, probabilities or weights behind the operator"
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
    seed: tuple[Purpose, ...],
    x0: Float[Tensor, "*R Y D1"],
    batch_size: int,
    num_steps: int,
    scale: float,
    is_fixed: bool = False,
) -> Recursion:
    """One repeat, a function of its arguments: it can run anywhere.

    Unless `is_fixed`, the scale is raised to any larger minibatch curvature on its way.
    """
    hessian = operator.operator
    assert isinstance(hessian, Sampled)
    batches = _Minibatches(hessian, seed, batch_size)
    bound = 2 * (_norm(b) / operator.damping + _norm(x0))
    x, total, num_averaged = x0.clone(), torch.zeros_like(b), 0
    for step in range(num_steps):
        curved = hessian.minibatch(batches.at(step).to(b.device)) @ x
        if step < ALWAYS_CHECKED or step % CHECK_EVERY == 0:
            norm = _norm(x)
            if not norm < bound:
                return Recursion(x, step, scale, True)
            if not is_fixed and norm > 0:
                scale = max(scale, _norm(curved) / norm + operator.damping)
        x.mul_(1 - operator.damping / scale).add_(b - curved, alpha=1 / scale)
        if step >= num_steps // 2:
            total += x
            num_averaged += 1
    return Recursion(total / num_averaged, num_steps, scale, not _norm(x) < bound)


def combine(
    operator: Damped,
    b: Float[Tensor, "*R Y D1"],
    repeats: list[Recursion],
    *,
    rtol: float,
    wanted: int,
    share: float,
) -> Solution:
    """The mean of the repeats, its residual by one full product, and their spread.

    Args:
        operator: as the repeats had it.
        b: likewise.
        repeats: in the order of their seeds.
        rtol: relative residual that counts as converged.
        wanted: the steps that damping asks for, for the advice.
        share: of a full product that a step costs.
    """
    b = finite(b, "the right-hand side")
    num_steps = sum(repeat.num_steps for repeat in repeats)
    num_products = math.ceil(num_steps * share) + 1
    scale = max(repeat.scale for repeat in repeats)
    if any(repeat.is_diverged for repeat in repeats):
        status = (
            f"diverged after {num_steps} steps with scale {scale:.3g}: leave scale to "
            "be found, raise batch_size, or use pcg"
        )
        return Solution(torch.zeros_like(b), status, False, num_products, 1.0)
    values = torch.stack([repeat.value for repeat in repeats])
    mean = values.mean(dim=0)
    norm_b = torch.linalg.vector_norm(b, dim=(-2, -1))
    left = torch.linalg.vector_norm(b - operator @ mean, dim=(-2, -1))
    residual = float((left / norm_b.clamp(min=1e-38)).max())
    spread = None
    if len(repeats) > 1:
        freedom = len(repeats) * (len(repeats) - 1)
        spread = _norm(values - mean) / math.sqrt(freedom) / _norm(mean)
    converged = residual <= rtol
    each = num_steps // len(repeats)
    status = f"{len(repeats)} repeats of {each} steps, residual {residual:.0e}"
    if not converged:
        status = f"stopped after {status}: {_advice(each, wanted, scale, operator)}"
    return Solution(mean, status, converged, num_products, residual, spread)


def _advice(each: int, wanted: int, scale: float, operator: Damped) -> str:
    if each < wanted:
        return (
            f"curvature {scale:.2g} over damping {operator.damping:.2g} asks for "
            f"{wanted} steps; raise max_products or damping, scale the features down, "
            "or use pcg"
        )
    return "minibatch noise is left; raise num_steps, batch_size or num_repeats"


class _Minibatches:
    """Rows of every step: each epoch is a fresh permutation, its tail left out."""

    def __init__(self, hessian: Sampled, seed: tuple[Purpose, ...], batch_size: int):
        self.num_samples = hessian.num_samples
        self.seed = seed
        self.batch_size = min(batch_size, hessian.num_samples)
        self.per_epoch = self.num_samples // self.batch_size
        self.epoch, self.order = -1, torch.zeros(0, dtype=torch.int64)

    def at(self, step: int) -> Int64[Tensor, "n"]:
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self.epoch:
            draws = generator(*self.seed, "lissa", epoch)
            self.epoch = epoch
            self.order = torch.randperm(self.num_samples, generator=draws)
        return self.order[place * self.batch_size : (place + 1) * self.batch_size]


def _norm(v: Tensor) -> float:
    return float(torch.linalg.vector_norm(v, dtype=torch.float64))

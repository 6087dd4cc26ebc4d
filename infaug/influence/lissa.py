"""LiSSA: solve A x = b from minibatches of the Hessian, by independent repeats."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.influence.operator import Damped, Solution, finite
from infaug.influence.recursion import Plan, Recursion, norm_of, plan_repeats, recursion
from infaug.randomness import SeedKey

BATCH_SIZE = 256
NUM_REPEATS = 2  # their spread needs two


def lissa(
    operator: Damped,
    b: Float[Tensor, "*R Y D1"],
    *,
    seed: tuple[SeedKey, ...],
    rtol: float,
    max_products: int,
    x0: Float[Tensor, "*R Y D1"] | None = None,
    batch_size: int = BATCH_SIZE,
    num_repeats: int = NUM_REPEATS,
    num_steps: int | None = None,
) -> Solution:
    """Solve (H + damping I) x = b by independent recursions, and average them.

    The residual is computed from the mean with one full product, and `spread` from the
    repeats: the standard error of the mean over its norm, the error that minibatches
    leave. What all repeats share, such as too few steps, only the residual shows.

    Source: Agarwal, Bullins & Hazan 2017; for s_val, Koh & Liang 2017, section 3.
    Differs from them: the scale is found, samples are reshuffled instead of drawn, and
    the second half of the steps is averaged instead of the last one kept.

    Args:
        operator: `Damped` around a `Sampled` one.
        b: one or several right-hand sides.
        seed: what the minibatches are drawn by.
        rtol: relative residual that counts as converged.
        max_products: full products' worth of minibatches to spend at most, over all
            repeats.
        x0: where every repeat starts; None: zero.
        batch_size: samples in each step.
        num_repeats: independent recursions; their spread needs two.
        num_steps: of each; None: as many as `depth` says, if max_products allows.

    Raises:
        ValueError: if b or a product is not finite.
    """
    b = finite(b, "the right-hand side")
    if norm_of(b) == 0:
        return Solution(
            torch.zeros_like(b), "the right-hand side is zero", True, 0, 0.0
        )
    plan = plan_repeats(
        operator,
        b,
        seed=seed,
        rtol=rtol,
        max_products=max_products,
        batch_size=batch_size,
        num_repeats=num_repeats,
        num_steps=num_steps,
    )
    start = torch.zeros_like(b) if x0 is None else finite(x0, "x0").to(b.dtype)
    repeats = [
        recursion(operator, b, seed=(*seed, repeat), x0=start, plan=plan)
        for repeat in range(num_repeats)
    ]
    return combine(operator, b, repeats, plan, rtol=rtol)


def combine(
    operator: Damped,
    b: Float[Tensor, "*R Y D1"],
    repeats: list[Recursion],
    plan: Plan,
    *,
    rtol: float,
) -> Solution:
    """The mean of the repeats, its residual by one full product, and their spread."""
    b = finite(b, "the right-hand side")
    num_steps = sum(repeat.num_steps for repeat in repeats)
    num_products = math.ceil(num_steps * plan.share) + 1
    scale = max(repeat.scale for repeat in repeats)
    if any(repeat.is_diverged for repeat in repeats):
        status = (
            f"diverged after {num_steps} steps with scale {scale:.3g}: raise "
            "batch_size, or use pcg"
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
        spread = norm_of(values - mean) / math.sqrt(freedom) / norm_of(mean)
    converged = residual <= rtol
    each = num_steps // len(repeats)
    status = f"{len(repeats)} repeats of {each} steps, residual {residual:.0e}"
    if not converged:
        status = (
            f"stopped after {status}: {_advice(each, plan.wanted, scale, operator)}"
        )
    return Solution(mean, status, converged, num_products, residual, spread)


def _advice(each: int, wanted: int, scale: float, operator: Damped) -> str:
    if each < wanted:
        return (
            f"curvature {scale:.2g} over damping {operator.damping:.2g} asks for "
            f"{wanted} steps; raise max_products or damping, scale the features down, "
            "or use pcg"
        )
    return "minibatch noise is left; raise num_steps, batch_size or num_repeats"

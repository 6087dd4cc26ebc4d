"""Which solver finds s_val.

`auto` is what measurement says (benchmarks/s_val.py): the Kronecker-factored
preconditioner pays for itself at every size, most where damping is small, and rough
products with refinement multiply that wherever the hardware multiplies bfloat16.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from infaug.config import InfluenceConfig, Solver
from infaug.influence.conjugate import cg
from infaug.influence.hessian import HeadHessian, Rough
from infaug.influence.kronecker import KroneckerInverse
from infaug.influence.lissa import lissa
from infaug.influence.operator import Damped, Solution, dense
from infaug.precision import has_fast_bfloat16
from infaug.randomness import SeedKey


def solve(
    hessian: HeadHessian,
    gradient: Float[Tensor, "*R Y D1"],
    config: InfluenceConfig,
    start: Float[Tensor, "*R Y D1"] | None,
    *seed: SeedKey,
) -> Solution:
    """(H + damping I)^-1 gradient by the solver that `config` names.

    Raises:
        ValueError: as the solver says.
    """
    operator = Damped(hessian, config.damping)
    how: dict[str, Any] = {
        "rtol": config.rtol, "max_products": config.max_products, "x0": start,
    }  # fmt: skip
    name = resolve_solver(config, gradient.device)
    if name == "gradient":
        return Solution(gradient, "H was left out", True, 0, 0.0)
    if name == "dense":
        return dense(operator, gradient)
    if name == "cg":
        return cg(operator, gradient, **how)
    if name == "lissa":
        return lissa(operator, gradient, seed=seed, **how)
    inverse = KroneckerInverse(hessian.factor_sums(), config.damping)
    if name == "pcg":
        return cg(operator, gradient, preconditioner=inverse, **how)
    rough = Damped(Rough(hessian), config.damping)
    return cg(operator, gradient, preconditioner=inverse, rough=rough, **how)


def resolve_solver(config: InfluenceConfig, device: torch.device) -> Solver:
    """The solver, with `auto` resolved by the hardware: a run keeps the answer."""
    if config.solver != "auto":
        return config.solver
    return "refined" if has_fast_bfloat16(device) else "pcg"

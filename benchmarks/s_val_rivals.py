"""How other libraries solve (H + damping I) S = g on a softmax head, each at its best.

Each adapter takes the features, head and labels as they are and returns S; what it
needs beyond them is part of the solve. Batches hold all samples, and where a library
offers modes the fastest is used. Imports are inside: a library may be missing.
"""

# pyright: reportMissingImports=false, reportMissingModuleSource=false

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset


@dataclass(frozen=True)
class Problem:
    """A head on features; labels only because autograd wants a loss."""

    h1: Tensor
    head: Tensor
    labels: Tensor
    gradient: Tensor
    damping: float


Solve = Callable[[Problem, float, int], Tensor]
"""(problem, tolerance, products) -> S; libraries obey one of the two numbers."""


def torchopt_cg(problem: Problem, tolerance: float, _: int) -> Tensor:
    """`solve_cg` with a Hessian-vector product whose graph is built once."""
    import torchopt

    head = problem.head.clone().requires_grad_()
    loss = cross_entropy(problem.h1 @ head.T, problem.labels)
    (gradient,) = torch.autograd.grad(loss, head, create_graph=True)

    def product(v: Tensor) -> Tensor:
        (hv,) = torch.autograd.grad(gradient, head, v, retain_graph=True)
        return hv + problem.damping * v

    solve = torchopt.linear_solve.solve_cg(rtol=tolerance)
    return solve(product, problem.gradient)


def dattri_cg(problem: Problem, _: float, products: int) -> Tensor:
    """`ihvp_at_x_cg`; it takes the number of iterations and ignores its tolerance."""
    from dattri.func.hessian import ihvp_at_x_cg

    shape = problem.head.shape

    def loss(flat: Tensor) -> Tensor:
        return cross_entropy(problem.h1 @ flat.view(shape).T, problem.labels)

    solve = ihvp_at_x_cg(
        loss, problem.head.flatten(), max_iter=products, regularization=problem.damping
    )
    return solve(problem.gradient.flatten()).view(shape)


def pydvl_cg(problem: Problem, tolerance: float, _: int) -> Tensor:
    """`CgOperator` in block mode on one batch of all samples."""
    from pydvl.influence.torch.operator import CgOperator, HessianOperator

    data = _loader(problem, len(problem.h1))
    operator = CgOperator(
        HessianOperator(_module(problem), cross_entropy, data),
        problem.damping,
        rtol=tolerance,
        atol=0.0,
        maxiter=10_000,  # its default is ten for a single right-hand side
        use_block_cg=True,
        warn_on_max_iteration=False,
    )
    flat = operator.apply(problem.gradient.flatten()[None])
    return flat.view_as(problem.head)


def curvlinops_cg(problem: Problem, tolerance: float, _: int) -> Tensor:
    """`CGInverseLinearOperator` of the damped `HessianLinearOperator`."""
    from curvlinops import CGInverseLinearOperator, HessianLinearOperator
    from curvlinops.examples import IdentityLinearOperator

    module = _module(problem)
    hessian = HessianLinearOperator(
        module,
        nn.CrossEntropyLoss(),
        list(module.parameters()),
        [(problem.h1, problem.labels)],
        check_deterministic=False,
    )
    shape, like = problem.head.shape, problem.head
    identity = IdentityLinearOperator([tuple(shape)], like.device, like.dtype)
    inverse = CGInverseLinearOperator(
        hessian + problem.damping * identity,
        # It tests the mean of an absolute residual, of unit right-hand sides.
        tolerance=tolerance,
        eps=0.0,
        max_iter=10_000,
        max_tridiag_iter=0,
    )
    norm = problem.gradient.norm()
    return norm * (inverse @ (problem.gradient / norm).flatten()).view(shape).detach()


def dattri_lissa(problem: Problem, steps: int, scale: float) -> Tensor:
    """`ihvp_lissa` with batches of 256."""
    from dattri.func.hessian import ihvp_lissa

    shape = problem.head.shape

    def loss(flat: Tensor, h1: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(h1 @ flat.view(shape).T, labels.long())

    solve = ihvp_lissa(
        loss,
        batch_size=256,
        recursion_depth=steps,
        damping=problem.damping,  # pyright: ignore[reportArgumentType]
        scaling=scale,  # pyright: ignore[reportArgumentType]
    )
    # It differentiates in all inputs, so labels must be floats.
    inputs = (problem.head.flatten(), problem.h1, problem.labels.float())
    flat = solve(inputs, problem.gradient.flatten(), in_dims=(None, 0, 0))
    return flat.view(shape)


def pydvl_lissa(problem: Problem, steps: int, scale: float) -> Tensor:
    """`LissaOperator` with batches of 256."""
    from pydvl.influence.torch.batch_operation import HessianBatchOperation
    from pydvl.influence.torch.operator import LissaOperator

    operator = LissaOperator(
        HessianBatchOperation(_module(problem), cross_entropy),
        _loader(problem, 256),
        problem.damping,
        maxiter=steps,
        scale=scale,
        rtol=0.0,
        warn_on_max_iteration=False,
    )
    return operator.apply(problem.gradient.flatten()).view_as(problem.head)


CG: dict[str, tuple[str, Solve]] = {
    "torchopt": ("torchopt", torchopt_cg),
    "dattri": ("dattri", dattri_cg),
    "pydvl": ("pydvl", pydvl_cg),
    "curvlinops": ("curvlinops", curvlinops_cg),
}
LISSA: dict[str, tuple[str, Callable[[Problem, int, float], Tensor]]] = {
    "dattri": ("dattri", dattri_lissa),
    "pydvl": ("pydvl", pydvl_lissa),
}


def missing(module: str) -> str | None:
    """Why a library is left out, or None if it is here."""
    if find_spec(module) is None:
        return f"{module} is not installed: pip install 'infaug[bench]'"
    return None


def _module(problem: Problem) -> nn.Module:
    num_classes, num_inputs = problem.head.shape
    module = nn.Linear(num_inputs, num_classes, bias=False)
    with torch.no_grad():
        module.weight.copy_(problem.head)
    return module


class _OneBatch:
    """A loader whose single batch is there already."""

    def __init__(self, problem: Problem):
        self.batch = (problem.h1, problem.labels)

    def __iter__(self):
        yield self.batch

    def __len__(self) -> int:
        return 1


def _loader(problem: Problem, batch_size: int) -> DataLoader:
    if batch_size >= len(problem.h1):
        return _OneBatch(problem)  # pyright: ignore[reportReturnType]
    data = TensorDataset(problem.h1, problem.labels)
    return DataLoader(data, batch_size=batch_size, shuffle=True)

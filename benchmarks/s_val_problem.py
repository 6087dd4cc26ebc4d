"""The problems that solvers of s_val are timed on, and what is left of them."""

import math

import torch
from s_val_rivals import Problem
from torch import Tensor
from torch.nn.functional import one_hot

from infaug.influence.hessian import LastLayerHessian
from infaug.influence.score import mean_head_gradient, with_bias
from infaug.randomness import generator

SIZES = {"a": (10_000, 64, 10), "b": (20_000, 512, 100), "c": (10_000, 2048, 1000)}
RTOL = 1e-3
MOST = 10_000


def build(size: str, damping: float) -> Problem:
    """The problem, a function of its name."""
    num, features, classes = SIZES[size]
    rng = generator("s_val benchmark", size)
    spectrum = torch.arange(1, features + 1).float().rsqrt()
    turn = torch.linalg.qr(torch.randn(features, features, generator=rng))[0]
    h = torch.randn(num, features, generator=rng).mul_(spectrum).mm(turn).relu_()
    h *= math.sqrt(8) / h.square().sum(1).mean().sqrt()
    h1 = with_bias(h)
    del h
    head = torch.randn(classes, features + 1, generator=rng)
    head[:, -1] = 0
    mean = h1.mean(0)
    head[:, -1] = -(head @ mean)  # centred, so that classes are about equally likely
    head *= 4 / (h1[:1000] @ head.T).std()
    probs = (h1[:2000] @ head.T).softmax(1)
    labels = torch.multinomial((h1 @ head.T).softmax(1), 1, generator=rng)[:, 0]
    y = one_hot(labels[:2000], classes).float()
    gradient = mean_head_gradient(probs, y, h1[:2000])
    return Problem(h1, head, labels, gradient, damping)


def hessian(problem: Problem) -> LastLayerHessian:
    """Ours, from where the rivals start."""
    return LastLayerHessian(
        problem.h1, torch.mm(problem.h1, problem.head.T).softmax(dim=1)
    )


def residual(problem: Problem, s_val: Tensor) -> float:
    """|b - A x| / |b| in float64, written out anew."""
    b, x = problem.gradient.double(), s_val.double()
    total = problem.damping * x
    for rows in torch.arange(len(problem.h1)).split(2000):
        h1 = problem.h1[rows].double()
        p = (h1 @ problem.head.double().T).softmax(1)
        slopes = h1 @ x.T
        changes = p * (slopes - (p * slopes).sum(1, keepdim=True))
        total += changes.T @ h1 / len(problem.h1)
    return float((b - total).norm() / b.norm())

"""The truth: dense, float64, slow and plain, by autograd and linear algebra."""

import torch
from torch import Tensor


def loss(head: Tensor, h1: Tensor, y: Tensor, weights: Tensor | None = None) -> Tensor:
    """Weighted mean cross-entropy of the softmax head [W b]."""
    losses = -(y * torch.log_softmax(h1 @ head.T, dim=1)).sum(dim=1)
    if weights is None:
        return losses.mean()
    return (weights * losses).sum() / weights.sum()


def probs(head: Tensor, h1: Tensor) -> Tensor:
    return torch.softmax(h1 @ head.T, dim=1)


def gradient(
    head: Tensor, h1: Tensor, y: Tensor, weights: Tensor | None = None
) -> Tensor:
    head = head.clone().requires_grad_()
    return torch.autograd.grad(loss(head, h1, y, weights), head)[0]


def sample_gradients(head: Tensor, h1: Tensor, y: Tensor) -> Tensor:
    rows = range(len(h1))
    return torch.stack([gradient(head, h1[i : i + 1], y[i : i + 1]) for i in rows])


def hessian(
    head: Tensor, h1: Tensor, y: Tensor, weights: Tensor | None = None
) -> Tensor:
    """The undamped Hessian as a matrix over the flattened head."""

    def of_head(head: Tensor) -> Tensor:
        return loss(head, h1, y, weights)

    blocks = torch.autograd.functional.hessian(of_head, head, vectorize=True)
    assert isinstance(blocks, Tensor)
    return blocks.reshape(head.numel(), head.numel())


def refit(
    head: Tensor, h1: Tensor, y: Tensor, weights: Tensor, damping: float
) -> Tensor:
    """The head that minimises loss + (damping/2) |head|^2, by Newton's method."""
    for _ in range(5):
        slope = gradient(head, h1, y, weights) + damping * head
        head = head - solve(hessian(head, h1, y, weights), damping, slope)
    return head


def solve(matrix: Tensor, damping: float, b: Tensor) -> Tensor:
    damped = matrix + damping * torch.eye(len(matrix), dtype=matrix.dtype)
    return torch.linalg.solve(damped, b.flatten()).view_as(b)

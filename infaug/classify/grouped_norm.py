"""Normalises all groups of a batch at once, forward and backward.

On a CPU launches cost nothing, and PyTorch's own kernel runs on one group after
another, each writing to its place. Elsewhere it is one operation to autograd,
torch.compile and the dispatcher, however many groups there are. On a GPU its formula is
compiled, once for all shapes of as many dimensions: a reduction and an elementwise
kernel each way.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

Forward = tuple[Tensor, Tensor, Tensor, Tensor]
Backward = tuple[Tensor, Tensor, Tensor]


def normalise(
    x: Tensor, weight: Tensor, bias: Tensor, num_groups: int, eps: float
) -> tuple[Tensor, Tensor]:
    """Rows of `x` [B C ...] normalised by the statistics of their group.

    out = weight (x - mean) / sqrt(var + eps) + bias, with the biased variance of each
    channel over the samples and positions of a group of neighbouring rows.

    Returns:
        out, and the sums over groups of mean and unbiased variance [2 C], which have no
        gradient.
    """
    how = group_by_group if x.device.type == "cpu" else grouped_batch_norm
    out, total, *_ = how(x, weight, bias, num_groups, eps)
    return out, total.detach()


def group_by_group(
    x: Tensor, weight: Tensor, bias: Tensor, num_groups: int, eps: float
) -> tuple[Tensor, Tensor]:
    """`normalise` by PyTorch's kernel; torch.compile sees its plain operations."""
    found = bias.new_ones(num_groups, 4, bias.numel())
    if num_groups > 1 and not torch.compiler.is_compiling():
        out = _GroupByGroup.apply(x, weight, bias, found, eps)
    else:
        groups = zip(x.chunk(num_groups), found, strict=True)
        outs = [
            torch.native_batch_norm(group, weight, bias, mean, var, True, 1.0, eps)[0]
            for group, (mean, var, *_) in groups
        ]
        out = torch.cat(outs) if num_groups > 1 else outs[0]
    return out, found[:, :2].sum(0)


class _GroupByGroup(torch.autograd.Function):
    """Writes each group's results to their place, where autograd would copy them.

    `found` [G 4 C] takes each group's mean and variance, and what the kernel keeps for
    its gradient.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, found: Tensor, eps: float
    ) -> Tensor:
        out = torch.empty_like(x)
        parts = (tensor.chunk(len(found)) for tensor in (x, out))
        for group, place, (mean, var, *kept) in zip(*parts, found, strict=True):
            # Momentum 1 makes a call leave its statistics.
            torch.native_batch_norm(
                group, weight, bias, mean, var, True, 1.0, eps, out=(place, *kept)
            )
        ctx.save_for_backward(x, weight, found)
        ctx.eps = eps
        return out

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, found = ctx.saved_tensors
        of_x, of_both = torch.empty_like(x), weight.new_zeros(2, len(weight))
        (grad,), size = grad_outputs, len(x) // len(found)
        for k in reversed(range(len(found))):  # as autograd adds up
            rows = slice(k * size, (k + 1) * size)
            own, *both = torch.ops.aten.native_batch_norm_backward(
                grad[rows], x[rows], weight, *found[k], True, ctx.eps, [True] * 3
            )
            of_x[rows] = own  # The caches still hold it; the kernel has no `out`.
            of_both = of_both + torch.stack(both)
        return of_x, *of_both, None, None


def forward_formula(
    x: Tensor, weight: Tensor, bias: Tensor, num_groups: int, eps: float
) -> Forward:
    """`normalise` without a loop over groups; also each group's mean and scale [G C].

    Its scale is 1 / sqrt(var + eps).
    """
    rows = x.unflatten(0, (num_groups, -1)).to(weight.dtype)
    over = [1, *range(3, rows.ndim)]
    var, mean = torch.var_mean(rows, over, correction=0, keepdim=True)
    scale = (var + eps).rsqrt()
    channels = (-1, *(1,) * (x.ndim - 2))
    out = (rows - mean) * scale * weight.view(channels) + bias.view(channels)
    count = x.numel() // mean.numel()
    shape = (num_groups, -1)
    total = torch.stack([
        mean.reshape(shape).sum(0), var.reshape(shape).sum(0) * (count / (count - 1))
    ])  # fmt: skip
    out = out.to(x.dtype).flatten(0, 1)
    return out, total, mean.reshape(shape), scale.reshape(shape)


def backward_formula(
    grad: Tensor, x: Tensor, weight: Tensor, mean: Tensor, scale: Tensor
) -> Backward:
    """Gradients in x, weight and bias."""
    rows = x.unflatten(0, (len(mean), -1)).to(weight.dtype)
    grads = grad.unflatten(0, (len(mean), -1)).to(weight.dtype)
    over, one = [1, *range(3, rows.ndim)], (1,) * (x.ndim - 2)
    place = (len(mean), 1, -1, *one)
    mean, scale = mean.view(place), scale.view(place)
    normal = (rows - mean) * scale
    of_bias = grads.sum(over, keepdim=True)
    of_weight = (grads * normal).sum(over, keepdim=True)
    count = x.numel() // mean.numel()
    of_x = grads - (of_bias + normal * of_weight) / count
    of_x = of_x * scale * weight.view(-1, *one)
    of_weight, of_bias = (t.sum(0).flatten() for t in (of_weight, of_bias))
    return of_x.to(x.dtype).flatten(0, 1), of_weight, of_bias


grouped_batch_norm = torch.library.custom_op(
    "infaug::grouped_batch_norm", forward_formula, mutates_args=()
)
grouped_batch_norm_backward = torch.library.custom_op(
    "infaug::grouped_batch_norm_backward", backward_formula, mutates_args=()
)


@cache
def _compiled(formula: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(formula, dynamic=True)


@grouped_batch_norm.register_kernel("cuda")
def _(x: Tensor, weight: Tensor, bias: Tensor, num_groups: int, eps: float) -> Forward:
    return _compiled(forward_formula)(x, weight, bias, num_groups, eps)


@grouped_batch_norm_backward.register_kernel("cuda")
def _(grad: Tensor, x: Tensor, weight: Tensor, mean: Tensor, scale: Tensor) -> Backward:
    return _compiled(backward_formula)(grad, x, weight, mean, scale)


@grouped_batch_norm.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor, num_groups: int, eps: float) -> Forward:
    of_groups = weight.new_empty(num_groups, weight.numel())
    total = weight.new_empty(2, weight.numel())
    return torch.empty_like(x), total, of_groups, torch.empty_like(of_groups)


@grouped_batch_norm_backward.register_fake
def _(grad: Tensor, x: Tensor, weight: Tensor, mean: Tensor, scale: Tensor) -> Backward:
    return torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Forward) -> None:
    x, weight, *_ = inputs
    _, total, mean, scale = output
    ctx.mark_non_differentiable(total, mean, scale)
    ctx.save_for_backward(x, weight, mean, scale)


def _differentiate(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
    x, weight, mean, scale = ctx.saved_tensors
    parts = grouped_batch_norm_backward(grad, x, weight, mean, scale)
    return (*parts, None, None)


grouped_batch_norm.register_autograd(_differentiate, setup_context=_keep)

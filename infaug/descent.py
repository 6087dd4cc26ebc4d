"""The one step by which every network here learns."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from infaug.world import World


def parameters_of(optimizer: Optimizer) -> list[Tensor]:
    """All tensors the optimizer moves, in its order."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def cosine(step: int, num_steps: int) -> float:
    """Share of the peak learning rate at `step`: 1 at the start, 0 at the end.

    >>> cosine(0, 100), round(cosine(50, 100), 3), round(cosine(100, 100), 3)
    (1.0, 0.5, 0.0)
    """
    return 0.5 * (1 + math.cos(math.pi * step / num_steps))


def set_rates(optimizer: Optimizer, *rates: float) -> None:
    """Give each parameter group its learning rate."""
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate


def descend(
    losses: Iterable[Tensor], optimizer: Optimizer, world: World, *, name: str
) -> tuple[float, float]:
    """Back-propagate this process's parts of a loss, sum over processes, and step.

    Args:
        losses: this process's parts, one in memory at a time; the parts of all
            processes add up to the loss.
        optimizer: moved only if loss and gradient are finite on all processes.
        world: who takes part.
        name: what is being trained, for the error.

    Returns:
        The whole loss and the norm of its gradient.

    Raises:
        ValueError: if loss or gradient is not finite; nothing has moved then.
    """
    optimizer.zero_grad(set_to_none=True)
    moved = parameters_of(optimizer)
    total = moved[0].new_zeros(())
    for loss in losses:
        loss.backward()
        total += loss.detach()
    gradients = [_gradient(p) for p in moved]
    world.sum_([total, *gradients])
    norm = get_total_norm(gradients)
    # One transfer from the device for both numbers.
    total_value, norm_value = torch.stack([total.float(), norm.float()]).tolist()
    _check_finite({"loss": total_value, "gradient norm": norm_value}.items(), name)
    optimizer.step()
    return total_value, norm_value


def _gradient(parameter: Tensor) -> Tensor:
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def _check_finite(values: Iterable[tuple[str, float]], name: str) -> None:
    for what, value in values:
        if not torch.isfinite(torch.tensor(value)):
            raise ValueError(
                f"{name}: the {what} is {value}; nothing was changed by this step. "
                f"Lower {name}.learning_rate, or look for broken images"
            )

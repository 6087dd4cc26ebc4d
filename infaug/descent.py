"""The one step by which every network here learns.

What a step finds stays on the device and is read when somebody looks: a GPU's queue is
not drained for a number that is logged every hundredth step. So a step that is not
finite is refused on the device, and all that follow it; the next reader finds out.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext

import torch
from torch import Tensor
from torch.optim import Optimizer

from infaug.gradients import GradientSum, gradient_of
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


class Guard:
    """Lets steps pass until one is not finite, and remembers that one.

    Those who share a guard stop together. `sums` are of what each name trains.
    """

    def __init__(self):
        self.passed: Tensor | None = None
        self.found: dict[str, Tensor] = {}
        self.sums: dict[str, GradientSum] = {}

    def admit(self, name: str, loss: Tensor, norm: Tensor) -> Tensor:
        """Whether the step may be taken: 0 or 1 on its device, and 0 ever after."""
        now = torch.stack([loss.float(), norm.float()])
        if self.passed is not None and name in self.found:
            now = torch.where(self.passed, now, self.found[name])
        self.found[name] = now
        finite = now.isfinite().all()
        self.passed = finite if self.passed is None else self.passed & finite
        return self.passed


class StepMetrics(Mapping[str, float]):
    """What a step found, by name; read from the device when it is first looked at.

    Raises:
        ValueError: on looking, if a step until now was not finite; nothing has moved
            since then.
    """

    def __init__(self, values: Mapping[str, Tensor | float], guard: Guard):
        self._values, self._guard = dict(values), guard
        self._read: dict[str, float] | None = None
        # Later steps leave the guard with other tensors.
        self._found = dict(guard.found)

    def __getitem__(self, name: str) -> float:
        if self._read is None:
            self._read = self._fetch()
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __or__(self, more: Mapping[str, float]) -> "StepMetrics":
        joined = StepMetrics({**self._values, **more}, self._guard)
        joined._found = self._found
        return joined

    def _fetch(self) -> dict[str, float]:
        """All numbers in one transfer."""
        tensors = {k: v for k, v in self._values.items() if isinstance(v, Tensor)}
        parts = [t.detach().reshape(1) for t in tensors.values()]
        numbers = torch.cat(
            [part.double() for part in [*parts, *self._found.values()]]
        ).tolist()
        pairs = numbers[len(parts) :]
        for name, loss, norm in zip(self._found, pairs[::2], pairs[1::2], strict=True):
            _check_finite(name, loss=loss, norm=norm)
        read = dict(zip(tensors, numbers, strict=False))
        return {k: read[k] if k in read else float(v) for k, v in self._values.items()}


def descend(
    losses: Iterable[Tensor], optimizer: Optimizer, world: World, *, name: str
) -> tuple[float, float]:
    """`take_step`, whose numbers are looked at right away.

    Raises:
        ValueError: if loss or gradient is not finite; nothing has moved then.
    """
    guard = Guard()
    loss, norm = take_step(losses, optimizer, world, guard, name=name)
    metrics = StepMetrics({"loss": loss, "norm": norm}, guard)
    return metrics["loss"], metrics["norm"]


def take_step(
    losses: Iterable[Tensor],
    optimizer: Optimizer,
    world: World,
    guard: Guard,
    *,
    name: str,
    num_losses: int = 1,
    compress: bool = False,
    beside: Callable[[], list[Tensor]] = list,
) -> tuple[Tensor, Tensor]:
    """Back-propagate this process's parts of a loss, sum over processes, and step.

    Args:
        losses: this process's parts, one in memory at a time; the parts of all
            processes add up to the loss.
        optimizer: moved only if loss and gradient are finite on all processes, and
            those of all steps before.
        world: who takes part.
        guard: which other steps must have been finite.
        name: what is being trained, for the error.
        num_losses: how many parts this process has. While the last one is
            back-propagated, gradients are summed.
        compress: processes exchange gradients in bfloat16.
        beside: after the last loss, other tensors that become their sums over
            processes, in place.

    Returns:
        The whole loss and the norm of its gradient, on their device.
    """
    optimizer.zero_grad(set_to_none=True)
    moved = parameters_of(optimizer)
    total = moved[0].new_zeros(())
    if name not in guard.sums:
        guard.sums[name] = GradientSum(moved, world, compress=compress)
    sums, ahead = guard.sums[name], list[Tensor]()
    for number, loss in enumerate(losses, start=1):
        total += loss.detach()
        ahead = [total, *beside()] if number == num_losses else []
        with sums.sending(ahead) if ahead else nullcontext():
            loss.backward()
    gradients = [gradient_of(p) for p in moved]
    sums.finish(ahead)
    norms = torch.ops.aten._foreach_norm(gradients, 2)
    norm = torch.linalg.vector_norm(torch.stack(norms))
    passed = guard.admit(name, total, norm)
    if optimizer.param_groups[0].get("fused"):
        # The kernels of a fused optimizer look at this themselves.
        setattr(optimizer, "found_inf", (~passed).float())  # noqa: B010
        setattr(optimizer, "grad_scale", None)  # noqa: B010
        optimizer.step()
    elif passed:
        optimizer.step()
    return total.float(), norm.float()


def runs_fused(parameters: Iterable[Tensor]) -> bool | None:
    """`fused` of an optimizer: True on a GPU, and PyTorch's own choice elsewhere."""
    return True if any(p.device.type == "cuda" for p in parameters) else None


def _check_finite(name: str, *, loss: float, norm: float) -> None:
    for what, value in (("loss", loss), ("gradient norm", norm)):
        if not math.isfinite(value):
            raise ValueError(
                f"{name}: the {what} is {value}; nothing was changed by this step. "
                f"Lower {name}.learning_rate, or look for broken images"
            )

"""Gradients summed over processes while the backward pass goes on.

Sums, not means, as everywhere. The order and the borders of messages depend on the
parameters alone, so the same number of processes gives the same bytes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from infaug.world import World

BUCKET_BYTES = 16 * 2**20  # in one message; a ResNet-50 has seven


class GradientSum:
    """The gradients of some parameters, in buckets that are sent one after another.

    The last parameters come first, as in a backward pass. A bucket is sent as soon as
    its gradients are there and all buckets before it are sent: in the same order by
    every process, also where a parameter gets no gradient. The loss goes ahead, and
    what else the forward pass has found.

    A pass that breaks off for lack of memory may be repeated in smaller parts: what was
    sent before is not sent again, since the other processes count on it.

    Under `torch.compile` the gradients of a module come all at once, at its end.

    Args:
        parameters: in the same order on every process.
        world: who adds up; alone, nothing is sent.
        compress: send bfloat16, half the bytes; sums then have its 8 bits.
    """

    def __init__(
        self, parameters: Sequence[Tensor], world: World, *, compress: bool = False
    ):
        self.world, self.compress = world, compress
        self.buckets = _buckets(parameters) if world.size > 1 else []
        self._sent: list[tuple[Tensor, dist.Work]] = []

    @contextmanager
    def sending(self, ahead: Sequence[Tensor]) -> Iterator[None]:
        """Send what the backward pass inside completes, and at its end the rest.

        Args:
            ahead: the loss of this process, complete as the gradients will be after
                the pass, and others to be summed.
        """
        if not self.buckets:
            yield
            return
        if not self._sent:
            self._send(ahead)
        missing = [len(bucket) for bucket in self.buckets]
        place = {
            p: number for number, bucket in enumerate(self.buckets) for p in bucket
        }

        def arrived(parameter: Tensor) -> None:
            missing[place[parameter]] -= 1
            while (number := len(self._sent) - 1) < len(missing) and not missing[
                number
            ]:
                self._send(_gradients(self.buckets[number]))

        learning = [p for p in place if p.requires_grad]
        hooks = [p.register_post_accumulate_grad_hook(arrived) for p in learning]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
        for bucket in self.buckets[len(self._sent) - 1 :]:
            self._send(_gradients(bucket))

    def finish(self, ahead: Sequence[Tensor]) -> None:
        """Wait for the sums: `ahead` and gradients become theirs, in place."""
        received = [ahead, *map(_gradients, self.buckets)]
        for tensors, (flat, work) in zip(received, self._sent, strict=False):
            with self.world.timer.time("peers"):
                work.wait()
            parts = flat.split([t.numel() for t in tensors])
            shaped = [p.view_as(t) for p, t in zip(parts, tensors, strict=True)]
            torch.ops.aten._foreach_copy_(tensors, shaped)
        self._sent.clear()

    def _send(self, tensors: Sequence[Tensor]) -> None:
        flat = torch.cat([t.detach().flatten() for t in tensors])
        if self.compress and self._sent:  # What goes ahead is whole.
            flat = flat.bfloat16()
        work = dist.all_reduce(flat, async_op=True)
        assert work is not None, "this process is in the group"
        self._sent.append((flat, work))


def _buckets(parameters: Sequence[Tensor]) -> list[list[Tensor]]:
    """The parameters from the last to the first, in runs of `BUCKET_BYTES` at most."""
    buckets: list[list[Tensor]] = [[]]
    size = 0
    for parameter in reversed(parameters):
        size += parameter.nbytes
        if buckets[-1] and size > BUCKET_BYTES:
            buckets.append([])
            size = parameter.nbytes
        buckets[-1].append(parameter)
    return buckets


def _gradients(parameters: Sequence[Tensor]) -> list[Tensor]:
    return [gradient_of(p) for p in parameters]


def gradient_of(parameter: Tensor) -> Tensor:
    """Its gradient; zeros where none has arrived."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad

"""What a step costs the process that queues it: kernels, waits and graph breaks.

    python benchmarks/step.py --json

No GPU is needed: tensors are on PyTorch's `meta` device, which has shapes and no
numbers, and every operation is counted as it is dispatched. A kernel is an operation
that is neither a view nor an allocation; one over a list of tensors counts once. A wait
is an operation that has to know a number, or copies between host and device without
`non_blocking`: on a GPU the process then stands still until the queue is empty.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from typing import Any
from unittest import mock

import torch
import torchvision
from torch import Tensor
from torch.nn import functional as F
from torch.optim import SGD, Optimizer
from torch.utils._python_dispatch import TorchDispatchMode

from infaug.classify.fit import build_optimizer, fit_classifier
from infaug.classify.network import ImageClassifier, build_classifier
from infaug.config import (
    AdversarialConfig,
    ClassifierConfig,
    EstimatorConfig,
    InfluenceConfig,
    TransformConfig,
)
from infaug.estimate.fit import InfluenceScores, fit_estimator
from infaug.estimate.fit import build_optimizer as optimizer_of_transform
from infaug.estimate.learned_transform import build_transform
from infaug.randomness import RandomNumbers
from infaug.transform.critics import (
    Adversaries,
    build_adversaries,
    image_and_flow_critics,
)
from infaug.transform.fit import Batch, fit_generator
from infaug.types import Views
from infaug.world import World

META = torch.device("meta")
GROUPS, IMAGES, CLASSES = 16, 256, 1000
SMALL = 32  # px of the images that E and G are counted on
F_CONFIG = ClassifierConfig(
    network="resnet50", batch_size=IMAGES, batch_groups=GROUPS, optimizer="sgd",
    learning_rate=0.1, precision="float32",
)  # fmt: skip
NO_KERNEL = {
    "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided",
    "lift_fresh", "_unsafe_view", "detach_", "_linalg_check_errors",
}  # fmt: skip
NEEDS_A_NUMBER = {
    "_local_scalar_dense", "item", "nonzero", "masked_select", "equal", "is_nonzero",
    "unique_consecutive", "_unique2", "_linalg_check_errors",
}  # fmt: skip


class Count(TorchDispatchMode):
    """Kernels and waits of what runs inside."""

    def __init__(self):
        super().__init__()
        self.kernels, self.waits = Counter[str](), Counter[str]()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Count one operation, and stand in for what needs a number."""
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        found = [arg for arg in flat(args) if isinstance(arg, Tensor)]
        target = kwargs.get("device") or (found[0].device if found else META)
        copies = name in ("_to_copy", "copy_") and (
            {arg.device.type for arg in found} | {torch.device(target).type}
            == {"cpu", "meta"}
        )
        on_device = copies or any(arg.device == META for arg in found)
        if on_device and not func.is_view and name not in NO_KERNEL:
            self.kernels[name] += 1
        blocking = copies and not (kwargs.get("non_blocking") or True in args[2:3])
        by_mask = name == "index" and any(a.dtype == torch.bool for a in found[1:])
        if on_device and (name in NEEDS_A_NUMBER or blocking or by_mask):
            self.waits[name] += 1
        if on_device and name == "_local_scalar_dense":
            return 1.0
        if name.startswith("_fused_"):
            return None  # Knows no `meta`, and returns nothing.
        if copies and torch.device(target).type == "cpu":
            return torch.ones(found[0].shape, dtype=kwargs.get("dtype"))
        return func(*args, **kwargs)


def flat(values: Any) -> Iterator[Any]:
    """All arguments, those in lists too."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from flat(value)
        else:
            yield value


def counted(steps: Iterator[object]) -> Count:
    """The second of these steps; in the first, optimizers make their state."""
    # `meta` knows no autocast; its conversions are left out on both sides.
    with (
        mock.patch.object(torch, "autocast", return_value=nullcontext()),
        mock.patch("torch.optim.adam._device_dtype_check_for_fused"),
    ):
        for count in (Count(), found := Count()):
            with count:
                next(steps)
    return found


def as_on_a_gpu(*optimizers: Optimizer) -> None:
    """All parameters in one call, as `runs_fused` chooses on a GPU."""
    for optimizer in optimizers:
        setattr(optimizer, "_need_device_dtype_check_for_fused", False)  # noqa: B010
        for group in optimizer.param_groups:
            group["fused"] = True


def plain_steps() -> Iterator[object]:
    """A plain loop: torchvision's ResNet-50."""
    model = torchvision.models.resnet50().to(META)
    model = model.to(memory_format=torch.channels_last)
    optimizer = SGD(
        model.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=1e-4
    )
    as_on_a_gpu(optimizer)
    x = torch.empty(2 * IMAGES, 3, 224, 224, device=META)
    x = x.contiguous(memory_format=torch.channels_last)
    y = torch.empty(2 * IMAGES, dtype=torch.int64, device=META)
    while True:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        yield loss


def classifier() -> ImageClassifier:
    """F as a training has it."""
    network = build_classifier("resnet50", 3, CLASSES, 0)
    return network.to(META).to(memory_format=torch.channels_last)


def steps_of_f() -> Iterator[object]:
    """F on two views of each image."""
    network = classifier()
    optimizer = build_optimizer(network, F_CONFIG)
    as_on_a_gpu(optimizer)
    views = Views(
        torch.empty(IMAGES, 2, 3, 224, 224, device=META),
        torch.empty(IMAGES, 2, CLASSES, device=META),
        torch.empty(IMAGES, 2, device=META),
    )
    return fit_classifier(
        network, optimizer, lambda _: views, range(9), F_CONFIG, num_steps=9,
        world=World(),
    )  # fmt: skip


def steps_of_e() -> Iterator[object]:
    """E and G against the influence of F's head."""
    config = EstimatorConfig(tau_dropout=0.1, batch_size=IMAGES)
    network = classifier().eval().requires_grad_(False)
    transform = build_transform(TransformConfig(), 3, SMALL, SMALL, 0).to(META)
    optimizer = optimizer_of_transform(transform, config)
    as_on_a_gpu(optimizer)
    s_val = torch.empty(CLASSES, network.head.in_features + 1, device=META)
    scores = InfluenceScores(network, s_val, InfluenceConfig(), "float32")
    y = torch.empty(IMAGES, CLASSES, device=META)
    return fit_estimator(
        transform, optimizer, scores, lambda step: (small_images(), y, rng(step)),
        range(9), config, num_steps=9, precision="float32", world=World(),
    )  # fmt: skip


def steps_of_g() -> Iterator[object]:
    """G and its critics, fitted as in the ICLR submission."""
    config = AdversarialConfig(fit="wgan_gp", batch_size=IMAGES)
    begun = build_transform(TransformConfig(), 3, SMALL, SMALL, 0).generator.to(META)
    critics = image_and_flow_critics(3, SMALL, SMALL, 0)
    critics = {name: critic.to(META) for name, critic in critics.items()}
    state: Adversaries = build_adversaries(begun, critics, config)
    as_on_a_gpu(*state.optimizers.values())
    x = small_images()
    return fit_generator(
        state, lambda update: Batch(x, x, rng(update)), range(9), config,
        world=World(),
    )  # fmt: skip


def small_images() -> Tensor:
    """What E and G are shown."""
    return torch.empty(IMAGES, 3, SMALL, SMALL, device=META)


def rng(step: int) -> RandomNumbers:
    """Of all groups."""
    return RandomNumbers(
        "benchmark", step, groups=range(GROUPS), group_size=IMAGES // GROUPS,
        device=META,
    )  # fmt: skip


def graph_breaks() -> int:
    """Of F in training mode, as torch.compile sees it."""
    config = replace(F_CONFIG, batch_size=4, batch_groups=2)
    network = build_classifier("resnet50", 3, 10, 0).train()
    found = torch._dynamo.explain(network)(torch.rand(config.batch_size, 3, 64, 64))
    return found.graph_break_count


STEPS: dict[str, Callable[[], Iterator[object]]] = {
    "plain": plain_steps, "f": steps_of_f, "e": steps_of_e, "g": steps_of_g,
}  # fmt: skip


def main() -> None:
    """Print what was counted; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description="Count what a step queues.")
    parser.add_argument("--json", action="store_true", help="print nothing else")
    arguments = parser.parse_args()
    found = {name: counted(begin()) for name, begin in STEPS.items()}
    for name, count in found.items() if not arguments.json else ():
        print(f"{name}: {count.kernels.total()} kernels, {count.waits.total()} waits")
        print("  kernels:", *islice(map(str, count.kernels.most_common()), 12))
        print("  waits:", *map(str, count.waits.most_common()))
    kernels = {name: count.kernels.total() for name, count in found.items()}
    print(json.dumps({
        "kernels": kernels,
        "kernels_over_plain": round(kernels["f"] / kernels["plain"], 3),
        "waits": {name: found[name].waits.total() for name in "feg"},
        "graph_breaks": graph_breaks(),
        "groups": GROUPS,
        "images": IMAGES,
    }))  # fmt: skip


if __name__ == "__main__":
    main()

"""A model of a product's time against actors, fitted to what was measured.

At sizes that were not measured it is an extrapolation.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import nnls

IMAGENET = {"N": 1_281_167, "D": 2048, "Y": 1000}
PRODUCTS = 30
# A refresh of the ImageNet job: features of the images that L_val and H average over.
INFLUENCE, HESSIAN = 50_000, 2500
# Images a second forward through ResNet-50 at 224 px, and multiply-adds a second of
# products, of one actor: a core in float32 (estimate) and a
# GPU in bfloat16 (stated).
FORWARD = {"one core": 15.0, "a quarter of an A10G": 500.0, "an A100": 7800.0}
GPU_WORK = {"a quarter of an A10G": 4e12, "an A100": 1e13}
ACTORS = [2**k for k in range(9)]


@dataclass(frozen=True)
class Size:
    """N samples, D features, Y classes."""

    N: int
    D: int
    Y: int

    @property
    def head_bytes(self) -> int:
        """Of one float32 array of the head's shape."""
        return 4 * self.Y * (self.D + 1)

    @property
    def work(self) -> float:
        """Multiply-adds of a product: two matrix products per sample."""
        return 2.0 * self.N * self.Y * (self.D + 1)


@dataclass(frozen=True)
class Sample:
    """A measured product: who did it, what it took."""

    actors: int
    work: float
    num_bytes: int
    seconds: float


def fit_model(samples: list[Sample]) -> dict[str, float]:
    """Seconds of a product = a + b * work / actors + c * bytes moved.

    Least squares in relative error over everything that was measured, none negative.
    """
    lines = np.array([[1.0, s.work / s.actors, s.num_bytes] for s in samples])
    times = np.array([s.seconds for s in samples])
    scale = lines.max(axis=0)
    found, _ = nnls(lines / scale / times[:, None], np.ones(len(times)))
    off = np.abs(lines / scale @ found / times - 1)
    latency_s, per_work, per_byte = found / scale
    return {
        "latency_s": latency_s,
        "s_per_multiply_add": per_work,
        "s_per_byte": per_byte,
        "median_error": float(np.median(off)),
        "largest_error": float(off.max()),
    }


def predict(model: dict[str, float], size: Size, actors: int) -> float:
    """Seconds of a product with as many shards as actors, by the model.

    Every actor is on its own node: v is sent to each, each sends its sum, and the
    coordinator's link carries all of it; every call costs it some latency.
    """
    moved = 2 * actors * size.head_bytes
    return (
        model["latency_s"] * max(1.0, actors / 2)
        + model["s_per_multiply_add"] * size.work / actors
        + model["s_per_byte"] * moved
    )


def scaling(model: dict[str, float]) -> dict[str, Any]:
    """Predicted seconds of a product at ImageNet's size, and the best number."""
    size = Size(**IMAGENET)
    seconds = {count: predict(model, size, count) for count in ACTORS}
    pays = [
        count for count in ACTORS[1:] if seconds[count // 2] / seconds[count] >= 1.25
    ]
    return {
        "size": IMAGENET,
        "seconds_by_actors": seconds,
        "doubling_pays_until": max(pays, default=1),
        "best": min(seconds, key=seconds.__getitem__),
    }


def refreshes(model: dict[str, float]) -> dict[str, dict[int, float]]:
    """Seconds of a refresh at ImageNet's size, by kind and number of actors.

    The gradient and the features of H go through F once; then S takes `PRODUCTS`.
    """
    size = Size(HESSIAN, IMAGENET["D"], IMAGENET["Y"])
    found = {}
    for kind, images_s in FORWARD.items():
        own = dict(model)
        if kind in GPU_WORK:
            own["s_per_multiply_add"] = 1 / GPU_WORK[kind]
        found[kind] = {
            count: (INFLUENCE + HESSIAN) / (count * images_s)
            + PRODUCTS * predict(own, size, count)
            for count in ACTORS[:7]
        }
    return found

"""The two-class points in the plane of "Learning to Augment Influential Data", Fig. 3.

Two Gaussian clouds lie across the line y = x, class 0 above it on the left, class 1
below it on the right. The paper gives no numbers; the diagonal is ours, so that moving
down carries class 0 over the border and augmenting downwards is the cure.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from infaug.randomness import generator

CENTRES = ((-0.7, 0.7), (0.7, -0.7))


@dataclass(frozen=True, eq=False)
class Toy2d:
    """Points (x to the right, y upwards) and classes, for training and validation."""

    train_points: Float[Tensor, "N 2"]
    train_labels: Int64[Tensor, "N"]
    val_points: Float[Tensor, "M 2"]
    val_labels: Int64[Tensor, "M"]

    def without(self, dropped: Bool[Tensor, "M"]) -> "Toy2d":
        """The same with these validation points left out."""
        kept = ~dropped
        return replace(
            self, val_points=self.val_points[kept], val_labels=self.val_labels[kept]
        )


def overlapping(seed: int, *, num_train: int = 100, num_val: int = 100) -> Toy2d:
    """Row 1 of Figure 3: training and validation points of one distribution.

    The clouds overlap (standard deviation 0.6): the best classifier errs on about 5 %,
    so a few validation points lie on the wrong side.
    """
    return _sample(seed, "overlapping", num_train, num_val, spread=0.6, down=0.0)


def moved_down(
    seed: int, *, num_train: int = 100, num_val: int = 100, down: float = 1.0
) -> Toy2d:
    """Row 2 of Figure 3: clouds that separate, with validation moved `down`.

    With standard deviation 0.35 training points are separable; the default move takes
    about a fifth of class 0's validation points over the training border.
    """
    return _sample(seed, "moved down", num_train, num_val, spread=0.35, down=down)


def _sample(
    seed: int, name: str, num_train: int, num_val: int, *, spread: float, down: float
) -> Toy2d:
    train_points, train_labels = _clouds(num_train, spread, seed, name, "train")
    val_points, val_labels = _clouds(num_val, spread, seed, name, "validation")
    below = val_points - torch.tensor([0.0, down])
    return Toy2d(train_points, train_labels, below, val_labels)


def _clouds(
    num_points: int, spread: float, seed: int, name: str, part: str
) -> tuple[Float[Tensor, "N 2"], Int64[Tensor, "N"]]:
    labels = torch.arange(num_points) % 2
    noise = torch.randn(num_points, 2, generator=generator(seed, "toy2d", name, part))
    return torch.tensor(CENTRES)[labels] + spread * noise, labels

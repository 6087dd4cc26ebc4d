"""Tiny problems of every kind that a softmax head can meet, in float64."""

from dataclasses import dataclass
from functools import cached_property

import reference
import torch
from torch import Tensor

from infaug.influence.hessian import LastLayerHessian
from infaug.influence.operator import Damped
from infaug.randomness import generator


@dataclass(frozen=True)
class Case:
    """A head on fixed features: training samples, validation samples, damping."""

    name: str
    num_train: int = 30
    num_features: int = 4
    num_classes: int = 3
    num_val: int = 12
    has_soft_labels: bool = False
    head_scale: float = 1.0  # large: very confident
    damping: float = 1e-2

    def __str__(self) -> str:
        return self.name

    @cached_property
    def head(self) -> Tensor:
        shape = (self.num_classes, self.num_features + 1)
        return self.head_scale * self._normal("head", *shape)

    @cached_property
    def h1(self) -> Tensor:
        return self._features("train", self.num_train)

    @cached_property
    def y(self) -> Tensor:
        return self._labels("train", self.num_train)

    @cached_property
    def h1_val(self) -> Tensor:
        return self._features("val", self.num_val)

    @cached_property
    def y_val(self) -> Tensor:
        return self._labels("val", self.num_val)

    @cached_property
    def probs(self) -> Tensor:
        return reference.probs(self.head, self.h1)

    @cached_property
    def hessian(self) -> Tensor:
        """The undamped matrix, by autograd."""
        return reference.hessian(self.head, self.h1, self.y)

    @property
    def operator(self) -> LastLayerHessian:
        """The same, by products."""
        return LastLayerHessian(self.h1, self.probs)

    @property
    def damped(self) -> Damped:
        return Damped(self.operator, self.damping)

    @cached_property
    def grad_val(self) -> Tensor:
        return reference.gradient(self.head, self.h1_val, self.y_val)

    @cached_property
    def s_val(self) -> Tensor:
        return reference.solve(self.hessian, self.damping, self.grad_val)

    def random_head(self, purpose: str) -> Tensor:
        return self._normal(purpose, *self.head.shape)

    def _features(self, split: str, num: int) -> Tensor:
        h = self._normal(f"features of {split}", num, self.num_features)
        return torch.cat([h, torch.ones(num, 1, dtype=h.dtype)], dim=1)

    def _labels(self, split: str, num: int) -> Tensor:
        scores = self._normal(f"labels of {split}", num, self.num_classes)
        if self.has_soft_labels:
            return scores.softmax(dim=1)
        return torch.eye(self.num_classes, dtype=scores.dtype)[scores.argmax(dim=1)]

    def _normal(self, purpose: str, *shape: int) -> Tensor:
        rng = generator(self.name, purpose)
        return torch.randn(*shape, generator=rng, dtype=torch.float64)


CASES = [
    Case("plain"),
    Case("two_classes", num_classes=2),
    Case("many_classes", num_train=60, num_classes=7),
    Case("soft_labels", has_soft_labels=True),
    Case("soft_labels_and_little_damping", has_soft_labels=True, damping=1e-3),
    Case("very_confident", head_scale=15.0, damping=1e-3),
    Case("fewer_samples_than_features", num_train=5, num_features=9),
    Case("one_sample", num_train=1, num_val=1),
]

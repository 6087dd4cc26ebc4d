"""A realistic problem: handwritten digits through a fixed random ReLU layer."""

from dataclasses import dataclass

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, one_hot

from infaug.influence.score import with_bias
from infaug.randomness import RandomNumbers, generator

NUM_TRAIN, NUM_FEATURES = 1000, 64


@dataclass(frozen=True)
class Digits:
    """1,000 training and 797 validation digits of 8 x 8 pixels."""

    x: Tensor
    y: Tensor
    x_val: Tensor
    y_val: Tensor

    def h1(self, x: Tensor) -> Tensor:
        """Features of images: |h| is about 2.7."""
        layer = torch.randn(64, NUM_FEATURES, generator=generator("digits layer"))
        h = torch.relu(x.flatten(1) @ layer.double() / 8)
        return with_bias(h)


@pytest.fixture(scope="session")
def digits() -> Digits:
    data = load_digits()
    order = torch.randperm(len(data.target), generator=generator("digits order"))
    x = torch.tensor(data.images[order] / 16).unsqueeze(1)
    y = one_hot(torch.tensor(data.target[order])).double()
    return Digits(x[:NUM_TRAIN], y[:NUM_TRAIN], x[NUM_TRAIN:], y[NUM_TRAIN:])


def rotated_and_translated(x: Tensor) -> Tensor:
    """Each image turned by up to 40 degrees and moved by up to an eighth."""
    rng = RandomNumbers.of_size(len(x), "rotations")
    angle = torch.deg2rad(rng.uniform(-40.0, 40.0)).double()
    shift = rng.uniform(-0.25, 0.25, 2).double()
    cos, sin = angle.cos(), angle.sin()
    matrix = torch.stack([cos, -sin, sin, cos], dim=1).view(-1, 2, 2)
    flow = affine_grid(
        torch.cat([matrix, shift[:, :, None]], dim=2),
        list(x.shape),
        align_corners=False,
    )
    return grid_sample(x, flow, align_corners=False)


@pytest.fixture(scope="session")
def picked() -> Tensor:
    """The 50 training digits that are replaced one by one."""
    return torch.randperm(NUM_TRAIN, generator=generator("picked"))[:50]


@pytest.fixture(scope="session")
def x_aug(digits: Digits, picked: Tensor) -> Tensor:
    return rotated_and_translated(digits.x[picked])

"""How many images of each class train: all, a long tail, rare ones repeated."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from infaug.config import DataConfig, TailConfig
from infaug.randomness import generator

UNEVEN = 3.0  # images of the largest class over those of the smallest
BALANCE = 0.5  # long-tailed digits, 20 to 1: 93.5 % at 0, 94.9 at 0.5, 94.8 at 1


def thin(
    train: Int64[Tensor, "n"], labels: Int64[Tensor, "N"], tail: TailConfig, seed: int
) -> Int64[Tensor, "m"]:
    """Of the training images, positions in random order, those of a long-tailed set.

    Which class is large and which small is drawn from `seed`; the largest has as many
    images as the classes here allow. The first images of a class are kept, so a larger
    ratio keeps a subset in every class but the largest.
    """
    if tail.kind == "none":
        return train
    of_train = labels[train]
    available = of_train.bincount(minlength=int(labels.max()) + 1)
    order = torch.randperm(len(available), generator=generator(seed, "tail"))
    sizes = torch.empty_like(available)
    sizes[order] = tail_sizes(available[order], tail)
    return train[rank_in_class(of_train) < sizes[of_train]]


def rank_in_class(labels: Int64[Tensor, "N"]) -> Int64[Tensor, "N"]:
    """How many images before each one are of its class.

    >>> rank_in_class(torch.tensor([0, 1, 0, 0, 1])).tolist()
    [0, 0, 1, 2, 1]
    """
    sizes, by_class = labels.bincount(), labels.argsort(stable=True)
    first_of_class = (sizes.cumsum(0) - sizes)[labels[by_class]]
    rank = torch.empty_like(labels)
    rank[by_class] = torch.arange(len(labels)) - first_of_class
    return rank


def balanced(
    train: Int64[Tensor, "n"], labels: Int64[Tensor, "N"], config: DataConfig
) -> Int64[Tensor, "m"]:
    """Training images, those of rare classes repeated.

    (n_1 / n)^balance times, rounded; n_1 is the size of the largest class, n that of an
    image's own.

    >>> labels = torch.tensor([0, 0, 0, 0, 1])
    >>> balanced(torch.arange(5), labels, DataConfig()).tolist()
    [0, 1, 2, 3, 4, 4]
    """
    sizes = labels[train].bincount(minlength=int(labels.max()) + 1)
    ratios = sizes.max() / sizes.clamp(min=1)
    power = config.balance
    if power is None:
        is_uneven = config.tail.kind == "none" and float(ratios.max()) >= UNEVEN
        power = BALANCE if is_uneven else 0.0
    times = ratios.pow(power).round().long()
    return train.repeat_interleave(times[labels[train]])


def tail_sizes(available: Int64[Tensor, "Y"], tail: TailConfig) -> Int64[Tensor, "Y"]:
    """Images that each class keeps, of those it has; the largest class first.

    round(n_1 shares), at least 1, with n_1 the largest number that no class refuses.

    >>> tail_sizes(torch.tensor([100, 80, 90]), TailConfig(kind="exponential"))
    tensor([100,  10,   1])
    >>> tail_sizes(torch.tensor([81, 99, 99]), TailConfig(kind="zipf", ratio=9.0))
    tensor([81, 20,  9])
    """
    shares = tail_shares(len(available), tail)
    largest = (available / shares).min()
    # What rounding adds, no class may lack.
    sizes = (largest * shares).round().long().clamp(min=1)
    return sizes.minimum(available)


def tail_shares(num_classes: int, tail: TailConfig) -> Float[Tensor, "Y"]:
    """Class sizes over that of the largest: 1 down to 1 / ratio; see `TailConfig`."""
    number = torch.arange(num_classes, dtype=torch.float64)
    last = max(num_classes - 1, 1)
    if tail.kind == "zipf":
        place = (number + 1).log() / torch.tensor(last + 1.0).double().log()
    else:
        place = number / last
    return tail.ratio ** (-place)

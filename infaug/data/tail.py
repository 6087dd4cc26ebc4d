"""Long-tailed training sets: a balanced one, thinned class by class."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from infaug.config import TailConfig
from infaug.randomness import generator


def thin(
    train: Int64[Tensor, "n"],
    labels: Int64[Tensor, "N"],
    tail: TailConfig,
    seed: int,
) -> Int64[Tensor, "m"]:
    """Of the training images, those that a long-tailed set keeps.

    Which class is large and which small is drawn from `seed`. The largest has as many
    images as the classes at hand allow; what is not kept is not used at all. The first
    images of a class are kept, so a larger ratio keeps a subset in every class but the
    largest.

    Args:
        train: positions in `labels`, in random order within each class.
        labels: of all images of the source.
        tail: how class sizes fall; `none` keeps everything.
        seed: of the splits.
    """
    if tail.kind == "none":
        return train
    of_train = labels[train]
    available = of_train.bincount(minlength=int(labels.max()) + 1)
    order = torch.randperm(len(available), generator=generator(seed, "tail"))
    sizes = torch.empty_like(available)
    sizes[order] = tail_sizes(available[order], tail)
    by_class = of_train.argsort(stable=True)
    first_of_class = (available.cumsum(0) - available)[of_train[by_class]]
    number = torch.arange(len(train)) - first_of_class
    kept = by_class[number < sizes[of_train[by_class]]]
    return train[kept.sort().values]


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

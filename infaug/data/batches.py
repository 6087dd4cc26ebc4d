"""Training batches as a function of the step alone.

There is no iterator and so no position to save: a resumed run asks for its step. The
stream is one permutation of the images after another; a batch may span two of them, so
none is ever short.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from infaug.data.dataset import Labelled, to_float
from infaug.randomness import RandomNumbers, SeedKey, generator, to_device


def batch_indices(
    num_samples: int, batch_size: int, step: int, *seed_key: SeedKey
) -> Int64[Tensor, "B"]:
    """Positions of the step-th batch in an endless stream of permuted epochs.

    >>> epoch = [batch_indices(6, 2, step, 0, "doc").tolist() for step in range(3)]
    >>> sorted(sum(epoch, []))
    [0, 1, 2, 3, 4, 5]
    """
    parts, start, stop = [], step * batch_size, (step + 1) * batch_size
    while start < stop:
        epoch, offset = divmod(start, num_samples)
        part = _permutation(num_samples, epoch, *seed_key)[offset:][: stop - start]
        parts.append(part)
        start += len(part)
    return torch.cat(parts)


class Batch(NamedTuple):
    """What a step sees: the part of the global batch that is held here."""

    x: Float[Tensor, "b K C H W"]
    """What each of K views begins from, in [0, 1]."""
    y: Float[Tensor, "b Y"]
    rng: RandomNumbers


class Batches:
    """This worker's part of each global batch, with its random numbers.

    A batch of `batch_size` images is cut into `num_groups` equal groups of neighbouring
    rows; a worker holds those in `world_groups`. A group's images and numbers are the
    same whoever holds it.
    """

    def __init__(
        self,
        labelled: Labelled,
        batch_size: int,
        num_groups: int,
        world_groups: range,
        device: torch.device | str,
        num_views: int,
        *seed_key: SeedKey,
    ):
        assert len(labelled) > 0, "every split has images"
        assert batch_size % num_groups == 0, "the config refuses another"
        self.labelled = labelled.to(device)
        self.batch_size = batch_size
        self.num_groups = num_groups
        self.world_groups = world_groups
        self.device = device
        self.num_views = num_views
        self.seed_key = seed_key

    def at(self, step: int) -> Batch:
        """Images, one-hot labels and random numbers of a step."""
        held = self.positions(step)
        x = to_float(self.labelled.images[held])
        y = F.one_hot(self.labelled.labels[held], self.labelled.num_classes).float()
        views = x.unsqueeze(1).expand(-1, self.num_views, *x.shape[1:])
        return Batch(views, y, self.rng(step))

    def positions(self, step: int) -> Int64[Tensor, "b"]:
        """Where the images of a step that are held here lie among all images."""
        groups = self._whole(step).view(self.num_groups, -1)
        held = groups[list(self.world_groups)].flatten()
        return to_device(held, self.device)

    def rng(self, step: int) -> RandomNumbers:
        """The random numbers of a step."""
        return RandomNumbers(
            *self.seed_key, "draws", step, groups=self.world_groups,
            group_size=self.batch_size // self.num_groups, device=self.device,
        )  # fmt: skip

    def _whole(self, step: int) -> Int64[Tensor, "B"]:
        return batch_indices(len(self.labelled), self.batch_size, step, *self.seed_key)


# Typed: 1 and True are equal as keys but seed different generators.
@lru_cache(maxsize=8, typed=True)
def _permutation(num_samples: int, epoch: int, *seed_key: SeedKey) -> Tensor:
    rng = generator(*seed_key, "epoch", epoch)
    return torch.randperm(num_samples, generator=rng)

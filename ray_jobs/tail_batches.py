"""Batches as the methods for long tails make them: resampled late, and transformed.

Delayed resampling (DRS): images are drawn as they come, so that features are learned
from all of them, and late in training every class is drawn as often; resampling from
the start would repeat those of small classes too often (Cao et al., 2019; Zhou et al.,
ICLR 2022, call it CE + DRS).
"""

import torch
from git_transfer import InvarianceTransfer
from jaxtyping import Int64
from torch import Tensor

from infaug.data.batches import Batch, Batches
from infaug.randomness import SeedKey, generator


def balanced_indices(
    labels: Int64[Tensor, "N"], batch_size: int, step: int, *seed_key: SeedKey
) -> Int64[Tensor, "B"]:
    """Positions drawn with replacement: a class, then one of its images.

    Classes without images are not drawn.
    """
    numbers = generator(*seed_key, "balanced", step)
    sizes = labels.bincount()
    present = sizes.nonzero().squeeze(1)
    drawn = torch.randint(len(present), (batch_size,), generator=numbers)
    classes = present[drawn]
    shares = torch.rand(batch_size, dtype=torch.float64, generator=numbers)
    within = (shares * sizes[classes]).long()
    first = sizes.cumsum(0) - sizes
    return labels.argsort(stable=True)[first[classes] + within]


class TailBatches(Batches):
    """Batches, resampled late, of which images of small classes are transformed.

    Each view of an image is transformed apart.

    Args:
        batches: what they would be.
        balanced_from: the step from which classes are drawn alike; None: never.
        transfer: what images go through before anything else; None: nothing.
    """

    def __init__(
        self,
        batches: Batches,
        balanced_from: int | None = None,
        transfer: InvarianceTransfer | None = None,
    ):
        super().__init__(
            batches.labelled,
            batches.batch_size,
            batches.num_groups,
            batches.world_groups,
            batches.device,
            batches.num_views,
            *batches.seed_key,
        )
        self.balanced_from, self.transfer = balanced_from, transfer

    def at(self, step: int) -> Batch:
        """What views begin from, one-hot labels and random numbers of a step."""
        batch = super().at(step)
        if self.transfer is None:
            return batch
        views = [
            self.transfer(x, batch.y.argmax(dim=1), batch.rng.fork("git", k))
            for k, x in enumerate(batch.x.unbind(1))
        ]
        return batch._replace(x=torch.stack(views, dim=1))

    def _whole(self, step: int) -> Int64[Tensor, "B"]:
        if self.balanced_from is None or step < self.balanced_from:
            return super()._whole(step)
        labels = self.labelled.labels.cpu()
        return balanced_indices(labels, self.batch_size, step, *self.seed_key)

"""Batches as the methods for long tails make them, for any views to begin from."""

import torch
from jaxtyping import Int64
from torch import Tensor

from infaug.baselines.delayed import delayed_indices
from infaug.baselines.git.transfer import InvarianceTransfer
from infaug.data.batches import Batch, Batches, batch_indices


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
            *batches.purpose,
        )
        self.balanced_from, self.transfer = balanced_from, transfer

    def at(self, step: int) -> Batch:
        """What views begin from, one-hot labels and draws of a step."""
        batch = self.gather(step, self._indices(step))
        if self.transfer is None:
            return batch
        views = [
            self.transfer(x, batch.y.argmax(dim=1), batch.draws.fork("git", k))
            for k, x in enumerate(batch.x.unbind(1))
        ]
        return batch._replace(x=torch.stack(views, dim=1))

    def _indices(self, step: int) -> Int64[Tensor, "B"]:
        if self.balanced_from is None:
            size = len(self.labelled)
            return batch_indices(size, self.batch_size, step, *self.purpose)
        labels, start = self.labelled.labels.cpu(), self.balanced_from
        return delayed_indices(labels, self.batch_size, step, start, *self.purpose)

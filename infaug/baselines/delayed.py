"""Delayed resampling (DRS): late in training every class is drawn as often.

Before, images are drawn as they come, so that features are learned from all of them;
resampling from the start would repeat those of small classes too often (Cao et al.,
2019; Zhou et al., ICLR 2022, call it CE + DRS).
"""

import torch
from jaxtyping import Int64
from torch import Tensor

from infaug.data.batches import batch_indices
from infaug.randomness import Purpose, generator


def delayed_indices(
    labels: Int64[Tensor, "N"],
    batch_size: int,
    step: int,
    balanced_from: int,
    *purpose: Purpose,
) -> Int64[Tensor, "B"]:
    """Positions of a batch: of permuted epochs, and balanced from a step on."""
    if step < balanced_from:
        return batch_indices(len(labels), batch_size, step, *purpose)
    return balanced_indices(labels, batch_size, step, *purpose)


def balanced_indices(
    labels: Int64[Tensor, "N"], batch_size: int, step: int, *purpose: Purpose
) -> Int64[Tensor, "B"]:
    """Positions drawn with replacement: a class, then one of its images.

    Classes without images are not drawn.
    """
    numbers = generator(*purpose, "balanced", step)
    sizes = labels.bincount()
    present = sizes.nonzero().squeeze(1)
    drawn = torch.randint(len(present), (batch_size,), generator=numbers)
    classes = present[drawn]
    shares = torch.rand(batch_size, dtype=torch.float64, generator=numbers)
    within = (shares * sizes[classes]).long()
    first = sizes.cumsum(0) - sizes
    return labels.argsort(stable=True)[first[classes] + within]

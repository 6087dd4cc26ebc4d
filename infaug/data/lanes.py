"""The order in which a set that is streamed is trained on.

There is a lane for each group of the batch. In every epoch the row groups are dealt out
to the lanes in a new order; neighbours in a lane make a window, whose images are
shuffled. So files are read in large pieces, images mix, and what a lane holds at a step
is a function of the seed, whoever reads it.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

import torch
from jaxtyping import Int64
from torch import Tensor

from infaug.randomness import Purpose, generator

WINDOW = 1024  # images that are shuffled together, or a few more


@dataclass(frozen=True, eq=False, kw_only=True)
class Window:
    """Neighbouring images of a lane, in the order in which they are trained on."""

    lane: int
    purpose: tuple[Purpose, ...]
    """What this window's random numbers are for."""
    start: int
    """Images of the lane before it, over all epochs."""
    groups: tuple[int, ...]
    """The row groups it is read from."""
    positions: Int64[Tensor, "n"]
    """Of its images in the set."""
    skip: int = 0
    """Images at its front that are not wanted: a run that resumes has had them."""

    @property
    def stop(self) -> int:
        """Images of the lane up to its end."""
        return self.start + len(self.positions)


def windows(
    held: Sequence[Int64[Tensor, "_"]],
    num_lanes: int,
    lanes: range,
    first: int,
    *purpose: Purpose,
    size: int = WINDOW,
) -> Iterator[Window]:
    """The windows of some lanes without end, in the order in which they are needed.

    Args:
        held: for every row group the positions of its images that are trained on.
        num_lanes: all lanes.
        lanes: those that are wanted.
        first: images of each lane that are passed over.
        purpose: what the order is for.
        size: images of a window, or a few more.

    Raises:
        ValueError: if there are fewer row groups than lanes.
    """
    filled = [number for number, positions in enumerate(held) if len(positions)]
    if len(filled) < num_lanes:
        raise ValueError(
            f"the training images lie in {len(filled)} row groups, too few for "
            f"classifier.batch_groups {num_lanes}: lower it, or write the set with "
            "smaller row groups (`infaug data prepare`)"
        )
    each = [
        _lane(held, filled, num_lanes, lane, first, size, purpose) for lane in lanes
    ]
    return heapq.merge(*each, key=lambda window: (window.start, window.lane))


def _lane(
    held: Sequence[Tensor],
    filled: Sequence[int],
    num_lanes: int,
    lane: int,
    first: int,
    size: int,
    purpose: tuple[Purpose, ...],
) -> Iterator[Window]:
    start = 0
    for epoch in count():
        draws = generator(*purpose, "row groups", epoch)
        order = torch.randperm(len(filled), generator=draws)[lane::num_lanes]
        dealt = [filled[place] for place in order.tolist()]
        for number, groups in enumerate(_together(dealt, held, size)):
            # Only what is wanted is shuffled: resuming late costs little.
            stop = start + sum(len(held[group]) for group in groups)
            if stop > first:
                own = (*purpose, "window", lane, epoch, number)
                positions = torch.cat([held[group] for group in groups])
                shuffle = torch.randperm(len(positions), generator=generator(*own))
                window = Window(
                    lane=lane, purpose=own, start=start, groups=groups,
                    positions=positions[shuffle],
                )  # fmt: skip
                yield replace(window, skip=max(first - start, 0))
            start = stop


def _together(
    dealt: Sequence[int], held: Sequence[Tensor], size: int
) -> Iterator[tuple[int, ...]]:
    """Neighbours with `size` images, or a few more; the last ones may have fewer."""
    groups: list[int] = []
    for group in dealt:
        groups.append(group)
        if sum(len(held[each]) for each in groups) >= size:
            yield tuple(groups)
            groups = []
    if groups:
        yield tuple(groups)

"""Training batches of a set that is streamed, with the interface of `Batches`."""

from collections import deque
from collections.abc import Generator
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from infaug.data.batches import Batch, Batches, check_groups
from infaug.data.dataset import Labelled, to_float
from infaug.data.lanes import windows
from infaug.data.reader import Crop, Piece
from infaug.data.stored import Stored
from infaug.randomness import Draws, Purpose, to_device


class Stream:
    """This worker's part of each global batch, decoded ahead of need.

    A group's images are those of its lane, in order; see `lanes`. A step that does not
    follow the last one, as when a run resumes, begins the stream anew from there.

    Args:
        stored: the images.
        batch_size: images of the global batch; a multiple of `num_groups`.
        num_groups: groups of the global batch, over all workers: the lanes.
        world_groups: the groups held here.
        device: where images are turned to float.
        crops: of every image, one for each view.
        purpose: what the batches are for; equal purposes give equal batches.

    Raises:
        ValueError: if groups would not be equal or not exist, or there are fewer row
            groups than groups.
    """

    def __init__(
        self,
        stored: Stored,
        batch_size: int,
        num_groups: int,
        world_groups: range,
        device: torch.device | str,
        crops: tuple[Crop, ...],
        *purpose: Purpose,
    ):
        check_groups(batch_size, num_groups, world_groups)
        self.stored, self.crops, self.device = stored, crops, device
        self.group_size = batch_size // num_groups
        self.num_groups, self.world_groups = num_groups, world_groups
        self.purpose = purpose
        self._held = stored.held()
        self._begin(0)

    def at(self, step: int) -> Batch:
        """Crops in [0, 1], one-hot labels and draws of a step: b rows, held here.

        Raises:
            ValueError: for an image that cannot be read.
        """
        if step != self._next:
            self._begin(step)
        self._next += 1
        rows = len(self.world_groups) * self.group_size
        shape = (len(self.crops), *self.stored.image_shape)
        images = torch.empty(rows, *shape, dtype=torch.uint8)
        labels = torch.empty(rows, dtype=torch.int64)
        for number, lane in enumerate(self.world_groups):
            place = slice(number * self.group_size, (number + 1) * self.group_size)
            self._take(lane, images[place], labels[place])
        y = F.one_hot(to_device(labels, self.device), self.stored.num_classes).float()
        draws = Draws(
            *self.purpose,
            "draws",
            step,
            groups=self.world_groups,
            group_size=self.group_size,
            device=self.device,
        )
        return Batch(to_float(to_device(images, self.device)), y, draws)

    def _begin(self, step: int) -> None:
        ahead = windows(
            self._held,
            self.num_groups,
            self.world_groups,
            step * self.group_size,
            *self.purpose,
        )
        self._next = step
        self._waiting = {lane: deque[Piece]() for lane in self.world_groups}
        pieces = self.stored.feed(self.stored.reader, ahead, self.crops)
        self._pieces = cast(Generator[Piece, None, None], pieces)

    def _take(self, lane: int, images: Tensor, labels: Tensor) -> None:
        """Fill these with the next images of a lane and their labels."""
        waiting, done = self._waiting, 0
        while done < len(labels):
            while not waiting[lane]:
                piece = next(self._pieces)
                waiting[piece.lane].append(piece)
            piece = waiting[lane].popleft()
            num = min(len(piece.labels), len(labels) - done)
            images[done : done + num] = piece.images[:num]
            labels[done : done + num] = piece.labels[:num]
            if num < len(piece.labels):
                rest = Piece(lane, piece.images[num:], piece.labels[num:])
                waiting[lane].appendleft(rest)
            done += num


def batches_of(
    images: Labelled | Stored,
    batch_size: int,
    num_groups: int,
    world_groups: range,
    device: torch.device | str,
    crops: tuple[Crop, ...],
    *purpose: Purpose,
) -> Batches | Stream:
    """Batches of a set, in memory or streamed.

    In memory every view begins from the whole image, whatever `crops` says.
    """
    if isinstance(images, Stored):
        return Stream(
            images, batch_size, num_groups, world_groups, device, crops, *purpose
        )
    return Batches(
        images, batch_size, num_groups, world_groups, device, len(crops), *purpose
    )

"""Images of a stream decoded by Ray Data, on whatever CPUs of the cluster are free.

A window is one task: what it gives is a function of the window, so a lost task is done
again and a resumed run asks for its windows alone. Machines that decode and machines
that train can then be added apart.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import ray.data
import torch
from ray.exceptions import RayError

from infaug.data.lanes import Window
from infaug.data.reader import Crop, Piece, Reader

AT_ONCE = 1024  # windows in one pipeline; starting one takes seconds


class RayFeed:
    """A `data.feed.Feed` through Ray Data."""

    def __call__(
        self, reader: Reader, windows: Iterable[Window], crops: tuple[Crop, ...]
    ) -> Iterator[Piece]:
        """What `Feed` says."""
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        windows = iter(windows)
        while some := list(islice(windows, AT_ONCE)):
            numbers = [{"number": number} for number in range(len(some))]
            blocks = (
                ray.data.from_items(numbers, override_num_blocks=len(some))
                .map_batches(
                    partial(_decode, job=ray.put((reader, some, crops))), batch_size=1
                )
                .iter_batches(batch_size=None, prefetch_batches=2)
            )
            try:
                for block in blocks:
                    yield from _pieces(block)
            except RayError as error:
                raise _told(error) from error


def _told(error: RayError) -> Exception:
    """The mistake that a task found, if that is what ended it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ValueError):
            return ValueError(str(cause))
        cause = getattr(cause, "cause", None) or cause.__cause__
    return error


def _decode(batch: Any, job: ray.ObjectRef) -> Iterator[Any]:
    """The pieces of one window, as columns; the window by its number in the job."""
    reader, windows, crops = ray.get(job)
    window = windows[int(batch["number"][0])]
    for encoded in reader.read(window, len(crops)):
        piece = reader.decode(encoded, crops)
        yield {
            "images": piece.images.numpy(),
            "labels": piece.labels.numpy(),
            "lane": np.full(len(piece.labels), piece.lane),
        }


def _pieces(block: Any) -> Iterator[Piece]:
    """A block's rows; Ray may have put those of several windows into it."""
    lanes = torch.from_numpy(block["lane"].copy())
    _, counts = lanes.unique_consecutive(return_counts=True)
    images = torch.from_numpy(block["images"].copy()).split(counts.tolist())
    labels = torch.from_numpy(block["labels"].copy()).split(counts.tolist())
    firsts = (counts.cumsum(0) - counts).tolist()
    for first, *rows in zip(firsts, images, labels, strict=True):
        yield Piece(int(lanes[first]), *rows)

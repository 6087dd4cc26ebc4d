"""Images of a stream decoded by Ray Data, on whatever CPUs of the cluster are free.

A shuffle buffer is one task: what it gives is a function of the buffer, so a lost task
is done again and a resumed run asks for its buffers alone. Machines that decode and
machines that train can then be added apart.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import ray.data
import torch
from ray.exceptions import RayError

from infaug.data.crops import Crop
from infaug.data.loader import Chunk, Reader, ShuffleBuffer

AT_ONCE = 1024  # buffers in one pipeline; starting one takes seconds


def pays(
    nodes: Iterable[Mapping[str, float]], spare: float, workers: int, *, use_gpu: bool
) -> bool:
    """Whether Ray Data has enough CPUs of its own to decode on.

    Where GPUs train, threads of the workers have the CPUs beside them: machines without
    a GPU must have more. Where CPUs train, one for each worker must be left.

    Args:
        nodes: what each machine has.
        spare: CPUs that neither workers nor a pool take.
        workers: how many train.
        use_gpu: whether each takes a GPU.
    """
    if not use_gpu:
        return spare >= workers
    has = [(node.get("CPU", 0.0), node.get("GPU", 0.0)) for node in nodes]
    return sum(c for c, g in has if not g) > sum(c for c, g in has if g)


def load_by_ray(
    reader: Reader, buffers: Iterable[ShuffleBuffer], crops: tuple[Crop, ...]
) -> Generator[Chunk]:
    """A `data.loader.Loader` through Ray Data."""
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    buffers = iter(buffers)
    while some := list(islice(buffers, AT_ONCE)):
        numbers = [{"number": number} for number in range(len(some))]
        job = ray.put((reader, some, crops))
        blocks = (
            ray.data.from_items(numbers, override_num_blocks=len(some))
            .map_batches(partial(_decode, job=job), batch_size=1)
            .iter_batches(batch_size=None, prefetch_batches=2)
        )
        try:
            for block in blocks:
                yield from _chunks(block)
        except RayError as error:
            raise _mistake_in(error) from error


def _mistake_in(error: RayError) -> Exception:
    """The mistake that a task found, if that is what ended it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ValueError):
            return ValueError(str(cause))
        cause = getattr(cause, "cause", None) or cause.__cause__
    return error


def _decode(batch: Any, job: ray.ObjectRef) -> Iterator[Any]:
    """The chunks of one buffer, as columns; the buffer by its number in the job."""
    reader, buffers, crops = ray.get(job)
    buffer = buffers[int(batch["number"][0])]
    for encoded in reader.read(buffer, len(crops)):
        chunk = reader.decode(encoded, crops)
        yield {
            "images": chunk.images.numpy(),
            "labels": chunk.labels.numpy(),
            "shard": np.full(len(chunk.labels), chunk.shard),
        }


def _chunks(block: Any) -> Iterator[Chunk]:
    """A block's rows; Ray may have put those of several buffers into it."""
    shards = torch.from_numpy(block["shard"].copy())
    _, counts = shards.unique_consecutive(return_counts=True)
    images = torch.from_numpy(block["images"].copy()).split(counts.tolist())
    labels = torch.from_numpy(block["labels"].copy()).split(counts.tolist())
    firsts = (counts.cumsum(0) - counts).tolist()
    for first, *rows in zip(firsts, images, labels, strict=True):
        yield Chunk(int(shards[first]), *rows)

"""The actor of a solver pool: a cache around pure functions.

It knows nothing that a call does not bring: what a shard is made of comes as a source,
a few bytes that name objects in Ray's store. So every call can be repeated, by any
actor, and one that was started again computes what it has lost.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import ray
import torch
from ray.exceptions import ObjectStoreFullError, OutOfDiskError
from torch import Tensor

from infaug.data.dataset import Labelled
from infaug.data.loader import load_in_threads
from infaug.data.on_disk import ImageSet
from infaug.data.share import local_part
from infaug.influence.hessian import LastLayerHessian
from infaug.training.snapshot import (
    GradientSum,
    Snapshot,
    shard_gradient,
    shard_hessian,
)
from infaug.world import World

FETCH_S = 60.0  # an object that does not arrive within it is lost


class PoolError(RuntimeError):
    """The pool cannot go on: its actors are gone, or its memory is full."""


@runtime_checkable
class Source(Protocol):
    """What a shard of the Hessian is made of; small, and the same wherever it goes."""

    @property
    def key(self) -> str:
        """Equal for the shards of one problem; what is cached for others is dropped."""
        ...

    def load(self, device: torch.device) -> LastLayerHessian:
        """The shard, computed or fetched."""
        ...


@dataclass(frozen=True)
class FeatureSource:
    """A shard whose h1 and p lie in the object store as two arrays."""

    key: str
    features: Any
    """Reference to (h1, p) as numpy arrays."""

    def load(self, device: torch.device) -> LastLayerHessian:
        """Fetch the features."""
        h1, probs = fetch(self.features)
        return LastLayerHessian(as_tensor(h1, device), as_tensor(probs, device))


@dataclass(frozen=True)
class ImageSource:
    """A shard of images, whose features F's snapshot makes."""

    key: str
    snapshot: Any
    """Reference to a Snapshot on the CPU."""
    images: Any
    """Reference to the shard: a `Labelled`, or a `OnDisk`, which this actor reads."""
    chunks: range
    """Their place among all chunks."""

    def load(self, device: torch.device) -> LastLayerHessian:
        """Let the images go through F.

        Raises:
            ValueError: if an image cannot be read here.
        """
        snapshot: Snapshot = fetch(self.snapshot).to(device)
        images = _with_own_threads(fetch(self.images)).select_all()
        return shard_hessian(snapshot, images.images, self.chunks)


class PoolActor:
    """Answers for shards of a Hessian, and applies functions."""

    def __init__(self, threads: int):
        self.threads = threads
        self.key = ""
        self.shards: dict[int, LastLayerHessian] = {}

    @ray.method(concurrency_group="health")
    def ping(self) -> bool:
        """Whether this actor is there; answered while it computes."""
        return True

    def num_samples(self, sources: dict[int, Source]) -> dict[int, int]:
        """Load shards; how many samples each has."""
        return {n: self._shard(n, s).num_samples for n, s in sources.items()}

    def partials(
        self, sources: dict[int, Source], method: str, *arrays: np.ndarray
    ) -> dict[int, Any]:
        """What a method of each shard's Hessian returns: what shards add up."""
        torch.set_num_threads(self.threads)
        given = [as_tensor(array, own_device()) for array in arrays]
        return {
            number: _to_send(getattr(self._shard(number, source), method)(*given))
            for number, source in sources.items()
        }

    def apply(
        self, function: Callable[..., Any], jobs: dict[int, tuple[Any, ...]]
    ) -> dict[int, Any]:
        """A pure function of the package, for the arguments of each job."""
        torch.set_num_threads(self.threads)
        return {number: function(*arguments) for number, arguments in jobs.items()}

    def _shard(self, number: int, source: Source) -> LastLayerHessian:
        torch.set_num_threads(self.threads)  # belongs to the thread a call runs in
        if source.key != self.key:
            self.key, self.shards = source.key, {}
        if number not in self.shards:
            self.shards[number] = source.load(own_device())
        return self.shards[number]


def _to_send(part: Any) -> Any:
    """Arrays travel without being pickled."""
    return part.cpu().numpy() if isinstance(part, Tensor) else part


def own_device() -> torch.device:
    """This actor's part of a GPU if it was given one, else the CPU."""
    has_gpu = ray.get_runtime_context().get_accelerator_ids().get("GPU")
    return torch.device("cuda" if has_gpu else "cpu")


def gradient_of(snapshot: Any, shard: Any, chunks: range) -> GradientSum:
    """A shard's part of the gradient of L_val, on the CPU; all in the object store."""
    # The same ones at each refresh: they are decoded once.
    images = local_part(_with_own_threads(fetch(shard)), World())
    total, num = shard_gradient(fetch(snapshot).to(own_device()), images, chunks)
    return total.cpu(), num.cpu()


def _with_own_threads(shard: ImageSet) -> ImageSet:
    """A shard that is read by as many threads as this actor has CPUs."""
    if isinstance(shard, Labelled):
        return shard
    cpus = ray.get_runtime_context().get_assigned_resources().get("CPU", 1)
    return replace(shard, loader=partial(load_in_threads, num=max(int(cpus), 1)))


def fetch(reference: Any) -> Any:
    """An object from the store.

    Raises:
        ray.exceptions.GetTimeoutError: if it does not arrive.
    """
    return ray.get(reference, timeout=FETCH_S)


def put(value: Any) -> Any:
    """A reference to `value` in the object store.

    Raises:
        PoolError: if neither memory nor disk takes it.
    """
    try:
        return ray.put(value)
    except (ObjectStoreFullError, OutOfDiskError) as error:
        raise PoolError(
            "Ray's object store is full, on disk too: start Ray with more "
            "object_store_memory or a larger --temp-dir, or end what else holds objects"
        ) from error


def as_tensor(array: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """A tensor of its own, in memory that PyTorch aligned.

    Arrays from the object store are read-only; and matrix products of equal numbers
    give equal bytes only if they are equally aligned.
    """
    own = torch.from_numpy(np.empty_like(array, shape=0)).new_empty(array.shape)
    np.copyto(own.numpy(), array)
    return own.to(device)

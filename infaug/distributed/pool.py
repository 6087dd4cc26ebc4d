"""SolverPool: Ray actors that solve for S while training goes on.

The driver reserves the pool's place before anything else asks for resources, and owns
its actors; whoever trains holds a `PoolSolver`, hands snapshots over and asks later.
"""

import uuid
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import ray
import torch
from ray.actor import ActorHandle
from ray.exceptions import GetTimeoutError, ObjectLostError, RayActorError, RayTaskError
from ray.util.placement_group import placement_group, remove_placement_group
from torch import Tensor

from infaug.config import InfluenceConfig
from infaug.data.dataset import Labelled
from infaug.data.on_disk import ImageSet
from infaug.distributed.pool_actor import (
    FETCH_S,
    FeatureSource,
    ImageSource,
    PoolError,
    gradient_of,
    put,
)
from infaug.distributed.pool_coordinator import Coordinator, Task
from infaug.distributed.pool_group import (
    REVIVAL_S,
    SILENCE_S,
    PoolShape,
    at_bundle,
    remove_extra_groups,
    start_actor,
    with_health,
)
from infaug.training.snapshot import Snapshot, rows_of_chunks, shards_of

RESERVE_S = 60.0
START_S = 180.0  # imports take a minute on a busy machine
MAX_SUBMITS = 3  # of one problem whose objects were lost

Shard = tuple[Any, range]  # a reference to its images, and their chunks


class SolverPool:
    """A pool in its own reserved place; close it, or leave its `with`.

    Raises:
        ValueError: if the cluster cannot reserve the least number of actors in time.
    """

    def __init__(self, shape: PoolShape, *, reserve_s: float = RESERVE_S):
        self.shape = shape
        self.group = placement_group([shape.resources] * shape.min, strategy="SPREAD")
        if not self.group.wait(reserve_s):
            remove_placement_group(self.group)
            raise ValueError(
                f"no capacity for {shape.min} solver actors of {shape.resources} in "
                f"{reserve_s:.0f} s: the cluster has {ray.cluster_resources()}, of "
                f"which {ray.available_resources()} is free; lower --pool or add nodes"
            )
        self.name = f"solver-{uuid.uuid4().hex}"
        names = [f"{self.name}-{place}" for place in range(shape.min)]
        self.actors = [
            start_actor(shape, self.group, place, name)
            for place, name in enumerate(names)
        ]
        self.coordinator = (
            with_health(Coordinator)
            .options(
                num_cpus=0,  # it waits for actors most of its time
                max_restarts=-1,
                max_task_retries=-1,
                scheduling_strategy=at_bundle(self.group, 0),
            )
            .remote(names, shape, self.name)
        )
        self._await_all()
        self.solver = PoolSolver(self.coordinator, shape.min)

    def _await_all(self) -> None:
        """Let processes begin: from then on, silence is a fault."""
        pings = [a.ping.remote() for a in (self.coordinator, *self.actors)]
        try:
            ray.get(pings, timeout=START_S)
        except (RayActorError, GetTimeoutError) as error:
            self.close()
            raise PoolError(
                f"the solver pool did not begin within {START_S:.0f} s: look at the "
                f"workers' logs ({error})"
            ) from error

    def close(self) -> None:
        """End the actors and give their place back."""
        for actor in [self.coordinator, *self.actors]:
            ray.kill(actor)
        remove_placement_group(self.group)
        remove_extra_groups(self.name)

    def __enter__(self) -> "PoolSolver":
        return self.solver

    def __exit__(self, *_: object) -> None:
        self.close()


class PoolSolver:
    """How to reach a pool; small, and may be sent to training workers."""

    def __init__(self, coordinator: ActorHandle, num_actors: int):
        self.coordinator = coordinator
        self.num_actors = num_actors
        # References to the shards of a set: most stay the same over a training.
        self._shards: dict[str, tuple[ImageSet, int, list[Shard]]] = {}

    def submit(
        self,
        snapshot: Snapshot,
        train: ImageSet,
        influence: ImageSet,
        config: InfluenceConfig,
    ) -> "InPool":
        """Have the pool solve for S; H and L_val have `config.shards` shards each.

        Images on disk are named by their positions, and read by the actors; images in
        memory are put into the object store.

        Raises:
            PoolError: if the object store takes no more.
        """
        num_shards = len(shards_of(len(train), config.shards or 1))
        if (idle := self.num_actors - num_shards) > 0:
            warnings.warn(
                f"--pool: {idle} of {self.num_actors} solver actors have nothing to "
                f"do, for {len(train)} images are {num_shards} shards: lower --pool or "
                "raise influence.shards",
                stacklevel=2,
            )

        def begin() -> Any:
            shards = self._shards_of("train", train, config.shards or 1)
            split = self._shards_of("influence", influence, config.shards or 1)
            ready = put(snapshot.to("cpu"))
            key = uuid.uuid4().hex
            sources = [
                ImageSource(key, ready, images, chunks) for images, chunks in shards
            ]
            gradient = gradient_of, [(ready, *shard) for shard in split]
            start = snapshot.start.cpu()
            task = Task(sources, gradient, config, start, snapshot.seed_key)
            return self.coordinator.solve.remote(task)

        return InPool(self.coordinator, begin, self._shards.clear)

    def _shards_of(self, name: str, images: ImageSet, num_shards: int) -> list[Shard]:
        kept = self._shards.get(name)
        if kept is None or kept[:2] != (images, num_shards):
            shards = [
                (put(_part(images, chunks)), chunks)
                for chunks in shards_of(len(images), num_shards)
            ]
            kept = self._shards[name] = (images, num_shards, shards)
        return kept[2]

    def apply(
        self, function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]]
    ) -> list[Any]:
        """A pure function of the package for each job, by the actors, in order."""

        def begin() -> Any:
            return self.coordinator.apply.remote(function, list(jobs))

        return InPool(self.coordinator, begin, self._shards.clear).result()


class InPool:
    """An answer that the pool is working on."""

    def __init__(
        self,
        coordinator: ActorHandle,
        begin: Callable[[], Any],
        forget: Callable[[], None],
    ):
        self.coordinator, self.begin, self.forget = coordinator, begin, forget
        self.reference, self.submits = begin(), 1

    def wait(self, timeout_s: float) -> bool:
        """Whether `result` returns at once; waits for so long at most.

        Raises:
            PoolError: if the coordinator does not answer.
        """
        if ray.wait([self.reference], timeout=timeout_s)[0]:
            return True
        self._check_coordinator()
        return False

    def result(self) -> Any:
        """The answer, waited for while there is a coordinator that answers.

        Raises:
            ValueError: if the problem cannot be solved.
            PoolError: if the pool cannot go on, within a minute of its fault.
        """
        while True:
            if ray.wait([self.reference], timeout=SILENCE_S)[0]:
                try:
                    return ray.get(self.reference, timeout=FETCH_S)
                except ObjectLostError:  # A node left with it: hand all over again.
                    self._begin_again()
                except RayTaskError as error:
                    if not isinstance(error, ObjectLostError):
                        raise _cause(error) from error
                    self._begin_again()
                except (RayActorError, GetTimeoutError) as error:
                    raise PoolError(
                        f"the pool's coordinator is gone: {error}"
                    ) from error
            self._check_coordinator()

    def _begin_again(self) -> None:
        if self.submits >= MAX_SUBMITS:
            raise PoolError(
                f"objects of the solver pool were lost {MAX_SUBMITS} times: look at "
                "`ray status` for nodes that leave"
            )
        self.forget()
        self.reference, self.submits = self.begin(), self.submits + 1

    def _check_coordinator(self) -> None:
        ping = self.coordinator.ping.remote()
        try:
            ray.get(ping, timeout=REVIVAL_S)
        except (RayActorError, GetTimeoutError) as error:
            raise PoolError(
                "the coordinator of the solver pool did not answer within "
                f"{REVIVAL_S:.0f} s: look at `ray status` and at its log"
            ) from error


def _part(images: ImageSet, chunks: range) -> ImageSet:
    """The images of some chunks, as actors can have them."""
    rows = torch.arange(len(images))[rows_of_chunks(chunks)]
    if isinstance(images, Labelled):
        return images.select(rows.to(images.labels.device)).to("cpu")
    part = images.part(rows)
    # Actors work in another folder.
    groups = tuple(replace(g, file=g.file.fixed) for g in part.reader.groups)
    return replace(part, reader=replace(part.reader, groups=groups))


def _cause(error: BaseException) -> BaseException:
    """What was raised in the first place, however many actors passed it on."""
    while isinstance(error, RayTaskError):
        error = error.cause
    return error


def feature_sources(
    key: str, h1: Tensor, probs: Tensor, num_shards: int
) -> list[FeatureSource]:
    """Shards of ready features, put into the store: for problems without images."""
    bounds = [shard * len(h1) // num_shards for shard in range(num_shards + 1)]
    return [
        FeatureSource(key, put((_numpy(h1[low:high]), _numpy(probs[low:high]))))
        for low, high in pairwise(bounds)
    ]


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.cpu().numpy()

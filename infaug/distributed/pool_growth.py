"""How large a pool is, and how it follows the cluster.

The least is reserved before anything else begins, so that the pool is never starved.
Above it an actor is added only where the cluster has room to spare, and goes with its
node. Elastic training does not see what actors hold and would wait for it for ever:
beside it, give the pool a resource of its own ("solver=1").
"""

import uuid
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import GetTimeoutError, RayActorError
from ray.util.placement_group import (
    PlacementGroup,
    get_placement_group,
    placement_group,
    placement_group_table,
    remove_placement_group,
)
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from infaug.distributed.pool_actor import PoolActor
from infaug.span import Span

PLACING_S = 2.0  # room that is not given within it was not free


@dataclass(frozen=True, kw_only=True)
class PoolShape:
    """How many actors a pool may have, and what each of them takes.

    Raises:
        ValueError: if it is no shape of a pool.
    """

    least: int = 1
    most: int = 1
    resources: dict[str, float] = field(default_factory=lambda: {"CPU": 1.0})
    """Of each actor: CPU, GPU (a fraction, too) or a resource of your own."""
    threads: int = 1
    """Of each actor's matrix products; S depends on it in the last bits."""

    def __post_init__(self):
        if not 1 <= self.least <= self.most:
            raise ValueError(
                "--pool must be MIN..MAX with 1 <= MIN <= MAX, got "
                f"{self.least}..{self.most}"
            )

    @classmethod
    def parse(cls, text: str, resources: str = "CPU=1") -> "PoolShape":
        """From `2..4` or `2`, and `GPU=0.5` or `CPU=1,solver=1`.

        >>> PoolShape.parse("2..4", "GPU=0.5").resources
        {'GPU': 0.5}
        """
        span = Span.parse(text, "--pool")
        pairs = [part.partition("=") for part in resources.split(",")]
        try:
            taken = {name.strip(): float(amount) for name, _, amount in pairs}
        except ValueError as error:
            raise ValueError(
                f"--pool-resources must be NAME=AMOUNT,..., got {resources!r}"
            ) from error
        return cls(least=span.least, most=span.most, resources=taken)


def with_health(kind: type) -> Any:
    """An actor class that answers `ping` in a thread of its own, while it computes."""
    options: Any = {"concurrency_groups": {"health": 1}}
    return ray.remote(**options)(kind)


def start_actor(
    shape: PoolShape, group: PlacementGroup, bundle: int, name: str | None = None
) -> ActorHandle:
    """An actor in a reserved place; Ray starts it again whenever it dies."""
    own = {k: v for k, v in shape.resources.items() if k not in ("CPU", "GPU")}
    return (
        with_health(PoolActor)
        .options(
            name=name,
            num_cpus=shape.resources.get("CPU", 0),
            num_gpus=shape.resources.get("GPU", 0),
            resources=own,
            max_restarts=-1,
            max_task_retries=0,  # the crew asks again, and may ask another
            scheduling_strategy=PlacementGroupSchedulingStrategy(
                placement_group=group, placement_group_bundle_index=bundle
            ),
        )
        .remote(shape.threads)
    )


class Growth:
    """The actors above the least.

    Args:
        shape: how many there may be.
        pool: name of the pool. Places outlive whoever asked for them: those of a
            coordinator that died are given back by the next one, and by `close`.
    """

    def __init__(self, shape: PoolShape, pool: str):
        self.shape, self.pool = shape, pool
        give_back(pool)
        self.extras: list[tuple[ActorHandle, PlacementGroup]] = []

    def follow(self, useful: int) -> list[ActorHandle]:
        """Drop extras that are gone, add some where there is room; those there are.

        Args:
            useful: how many actors have something to do at all.
        """
        for extra in list(self.extras):
            if not _is_there(extra[0]):
                self._drop(extra)
        wanted = min(self.shape.most, useful) - self.shape.least
        while len(self.extras) < wanted and self._has_room():
            name = f"{self.pool}-{uuid.uuid4().hex}"
            group = placement_group([self.shape.resources], name=name)
            if not group.wait(PLACING_S):
                remove_placement_group(group)
                break
            self.extras.append((start_actor(self.shape, group, 0), group))
        return [actor for actor, _ in self.extras]

    def _has_room(self) -> bool:
        free = ray.available_resources()
        return all(free.get(k, 0) >= v for k, v in self.shape.resources.items())

    def _drop(self, extra: tuple[ActorHandle, PlacementGroup]) -> None:
        self.extras.remove(extra)
        ray.kill(extra[0])
        remove_placement_group(extra[1])


def give_back(pool: str) -> None:
    """Remove the places that extra actors of a pool were given."""
    for held in placement_group_table().values():
        if held["name"].startswith(f"{pool}-") and held["state"] != "REMOVED":
            remove_placement_group(get_placement_group(held["name"]))


def _is_there(actor: Any) -> bool:
    try:
        return ray.get(actor.ping.remote(), timeout=PLACING_S)
    except (RayActorError, GetTimeoutError):
        return False

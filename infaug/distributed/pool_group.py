"""The actors of a pool: how many there are, and who does which part of the work.

The minimum is reserved before anything else begins, so that the pool is never starved.
Above it an actor is added only where the cluster has free capacity, and goes with its
node. Parts of the work are pure, so the only answer to any fault is to ask another
actor. An actor that died is started again by Ray; until it answers, the others do its
parts. Nothing here waits without a limit.
"""

import math
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import (
    GetTimeoutError,
    RayActorError,
    RayTaskError,
    WorkerCrashedError,
)
from ray.util.placement_group import (
    PlacementGroup,
    get_placement_group,
    placement_group,
    placement_group_table,
    remove_placement_group,
)
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from infaug.count_range import CountRange
from infaug.distributed.pool_actor import FETCH_S, PoolActor, PoolError

PLACING_S = 2.0  # capacity that is not given within it was not free
SILENCE_S = 10.0  # after which an actor that computes is asked whether it is alive
REVIVAL_S = 45.0  # for which an actor is waited for if there is no other
MAX_LOSSES = 10  # in one problem; more means that the problem itself is deadly
LOST = (RayActorError, WorkerCrashedError, GetTimeoutError)

Call = Callable[[ActorHandle, list[int]], Any]


@dataclass(frozen=True, kw_only=True)
class PoolShape:
    """How many actors a pool may have, and what each of them takes.

    Raises:
        ValueError: if it is no shape of a pool.
    """

    min: int = 1
    max: int = 1
    resources: dict[str, float] = field(default_factory=lambda: {"CPU": 1.0})
    """Of each actor: CPU, GPU (a fraction, too) or a resource of your own."""
    threads: int = 1
    """Of each actor's matrix products; S depends on it in the last bits."""

    def __post_init__(self):
        if not 1 <= self.min <= self.max:
            raise ValueError(
                "--pool must be MIN..MAX with 1 <= MIN <= MAX, got "
                f"{self.min}..{self.max}"
            )

    @property
    def cpus(self) -> int:
        """That the pool takes at its largest."""
        return math.ceil(self.max * self.resources.get("CPU", 0))

    @classmethod
    def parse(cls, text: str, resources: str = "CPU=1") -> "PoolShape":
        """From `2..4` or `2`, and `GPU=0.5` or `CPU=1,solver=1`.

        >>> PoolShape.parse("2..4", "GPU=0.5").resources
        {'GPU': 0.5}
        """
        count = CountRange.parse(text, "--pool")
        pairs = [part.partition("=") for part in resources.split(",")]
        try:
            taken = {name.strip(): float(amount) for name, _, amount in pairs}
        except ValueError as error:
            raise ValueError(
                f"--pool-resources must be NAME=AMOUNT,..., got {resources!r}"
            ) from error
        return cls(min=count.min, max=count.max, resources=taken)


def with_health(kind: type) -> Any:
    """An actor class that answers `ping` in a thread of its own, while it computes."""
    options: Any = {"concurrency_groups": {"health": 1}}
    return ray.remote(**options)(kind)


def at_bundle(group: PlacementGroup, bundle: int) -> PlacementGroupSchedulingStrategy:
    """In a reserved place."""
    return PlacementGroupSchedulingStrategy(
        placement_group=group, placement_group_bundle_index=bundle
    )


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
            max_task_retries=0,  # the group asks again, and may ask another actor
            scheduling_strategy=at_bundle(group, bundle),
        )
        .remote(shape.threads)
    )


class Growth:
    """The actors above the minimum.

    Args:
        shape: how many there may be.
        pool: name of the pool. Placement groups outlive their owner: those of a
            coordinator that died are removed by the next one, and by `close`.
    """

    def __init__(self, shape: PoolShape, pool: str):
        self.shape, self.pool = shape, pool
        remove_extra_groups(pool)
        self.extras: list[tuple[ActorHandle, PlacementGroup]] = []

    def follow(self, useful: int) -> list[ActorHandle]:
        """Drop extras that are gone, add some where capacity is free; return them."""
        for extra in list(self.extras):
            if not _answers({extra[0].ping.remote(): 0}, PLACING_S):
                self.extras.remove(extra)
                ray.kill(extra[0])
                remove_placement_group(extra[1])
        wanted = min(self.shape.max, useful) - self.shape.min
        while len(self.extras) < wanted and self._has_capacity():
            name = f"{self.pool}-{uuid.uuid4().hex}"
            group = placement_group([self.shape.resources], name=name)
            if not group.wait(PLACING_S):
                remove_placement_group(group)
                break
            self.extras.append((start_actor(self.shape, group, 0), group))
        return [actor for actor, _ in self.extras]

    def _has_capacity(self) -> bool:
        free = ray.available_resources()
        return all(free.get(k, 0) >= v for k, v in self.shape.resources.items())


def remove_extra_groups(pool: str) -> None:
    """Remove the placement groups of a pool's extra actors."""
    for held in placement_group_table().values():
        if held["name"].startswith(f"{pool}-") and held["state"] != "REMOVED":
            remove_placement_group(get_placement_group(held["name"]))


class WorkerGroup:
    """The actors, and which parts each of them has in its cache."""

    def __init__(self, actors: Sequence[ActorHandle]):
        self.actors = list(actors)
        self.alive = list(range(len(self.actors)))
        self.home: dict[int, int] = {}
        self.num_lost = 0

    def rebalance(self, num_parts: int) -> None:
        """Give every actor that is alive its share of the parts: contiguous, equal.

        Raises:
            PoolError: if no actor answers within `REVIVAL_S`.
        """
        self.alive, self.num_lost = self._wait_for_any(), 0
        here = len(self.alive)
        self.home = {
            part: self.alive[part * here // num_parts] for part in range(num_parts)
        }

    def do(self, parts: Sequence[int], call: Call) -> dict[int, Any]:
        """Have every part done: `call` asks an actor for some, as a dict by part.

        Raises:
            PoolError: if no actor is left within `REVIVAL_S`.
            Exception: whatever a part itself raises.
        """
        done: dict[int, Any] = {}
        while left := [part for part in parts if part not in done]:
            shares: dict[int, list[int]] = {}
            for part in left:
                shares.setdefault(self._home_of(part), []).append(part)
            calls = {
                call(self.actors[actor], share): actor
                for actor, share in shares.items()
            }
            done |= self._collect(calls)
        return done

    def _collect(self, calls: Mapping[Any, int]) -> dict[int, Any]:
        """The results of these calls; actors that do not answer are marked dead."""
        done: dict[int, Any] = {}
        waiting = dict(calls)
        while waiting:
            ready, _ = ray.wait(list(waiting), num_returns=1, timeout=SILENCE_S)
            if not ready:
                for actor in self._silent(set(waiting.values())):
                    self._mark_dead(actor, is_hung=True)
                    waiting = {r: a for r, a in waiting.items() if a != actor}
            for reference in ready:
                actor = waiting.pop(reference)
                try:
                    done |= ray.get(reference, timeout=FETCH_S)
                except RayTaskError:  # The part's own, not the actor's.
                    raise
                except LOST:
                    self._mark_dead(actor, is_hung=False)
        return done

    def _home_of(self, part: int) -> int:
        """The actor for a part: as before if it is alive, else another, to stay."""
        if self.home.get(part) not in self.alive:
            if not self.alive:
                self.alive = self._wait_for_any()
            self.home[part] = self.alive[part % len(self.alive)]
        return self.home[part]

    def _mark_dead(self, actor: int, *, is_hung: bool) -> None:
        if actor in self.alive:
            self.alive.remove(actor)
            self.num_lost += 1
        if self.num_lost > MAX_LOSSES:
            raise PoolError(
                f"solver actors died {self.num_lost} times over one s_val: most often "
                "their shards do not fit in memory; raise influence.shards and the "
                "number of actors, or give each more memory"
            )
        if is_hung:  # Ray starts it again.
            ray.kill(self.actors[actor], no_restart=False)

    def _silent(self, actors: set[int]) -> list[int]:
        pings = {self.actors[a].ping.remote(): a for a in actors}
        answered = _answers(pings, SILENCE_S)
        return [actor for actor in actors if actor not in answered]

    def _wait_for_any(self) -> list[int]:
        """Those who answer now, or the first who do."""
        until = time.monotonic() + REVIVAL_S
        while time.monotonic() < until:
            pings = {a.ping.remote(): n for n, a in enumerate(self.actors)}
            if alive := _answers(pings, 5.0):
                return sorted(alive)
            time.sleep(0.5)
        raise PoolError(
            f"none of the {len(self.actors)} solver actors answers within "
            f"{REVIVAL_S:.0f} s: look at `ray status` for nodes that left and at the "
            "workers' logs for what killed them (often memory)"
        )


def _answers(pings: dict[Any, int], timeout_s: float) -> set[int]:
    """Who of the pinged answers in time."""
    ready, _ = ray.wait(list(pings), num_returns=len(pings), timeout=timeout_s)
    alive = set()
    for reference in ready:
        try:
            ray.get(reference, timeout=1.0)
            alive.add(pings[reference])
        except LOST:
            continue
    return alive

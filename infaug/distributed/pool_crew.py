"""Who does which part of the work, and what happens when one of them dies.

Parts are pure, so the only answer to any fault is to ask somebody again. An actor that
died is started again by Ray; until it answers, the others do its parts. Nothing here
waits without a limit.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import (
    GetTimeoutError,
    RayActorError,
    RayTaskError,
    WorkerCrashedError,
)

from infaug.distributed.pool_actor import FETCH_S, PoolError

SILENCE_S = 10.0  # after which an actor that computes is asked whether it is there
REVIVAL_S = 30.0  # for which an actor is waited for if there is no other
MAX_LOSSES = 10  # in one problem; more means that the problem itself is deadly
LOST = (RayActorError, WorkerCrashedError, GetTimeoutError)

Call = Callable[[ActorHandle, list[int]], Any]


class Crew:
    """The actors, and for which parts each of them is at home.

    Args:
        actors: as the driver made them; Ray starts them again when they die.
    """

    def __init__(self, actors: Sequence[ActorHandle]):
        self.actors = list(actors)
        self.present = list(range(len(self.actors)))
        self.home: dict[int, int] = {}
        self.num_lost = 0

    def muster(self, num_parts: int) -> None:
        """Give every actor that is there its share of the parts: contiguous, equal.

        Raises:
            PoolError: if no actor is there within `REVIVAL_S`.
        """
        self.present, self.num_lost = self._wait_for_any(), 0
        here = len(self.present)
        self.home = {
            part: self.present[part * here // num_parts] for part in range(num_parts)
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
            asked = {
                call(self.actors[actor], share): actor
                for actor, share in shares.items()
            }
            done |= self._collect(asked)
        return done

    def _collect(self, asked: Mapping[Any, int]) -> dict[int, Any]:
        """What the asked bring back; those who do not answer are struck off."""
        done: dict[int, Any] = {}
        waiting = dict(asked)
        while waiting:
            ready, _ = ray.wait(list(waiting), num_returns=1, timeout=SILENCE_S)
            if not ready:
                for actor in self._silent(set(waiting.values())):
                    self._strike_off(actor, is_hung=True)
                    waiting = {r: a for r, a in waiting.items() if a != actor}
            for reference in ready:
                actor = waiting.pop(reference)
                try:
                    done |= ray.get(reference, timeout=FETCH_S)
                except RayTaskError:  # The part's own, not the actor's.
                    raise
                except LOST:
                    self._strike_off(actor, is_hung=False)
        return done

    def _home_of(self, part: int) -> int:
        """The actor for a part: as before if it is there, else another, to stay."""
        if self.home.get(part) not in self.present:
            if not self.present:
                self.present = self._wait_for_any()
            self.home[part] = self.present[part % len(self.present)]
        return self.home[part]

    def _strike_off(self, actor: int, *, is_hung: bool) -> None:
        if actor in self.present:
            self.present.remove(actor)
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
            if present := _answers(pings, 5.0):
                return sorted(present)
            time.sleep(0.5)
        raise PoolError(
            f"none of the {len(self.actors)} solver actors answers within "
            f"{REVIVAL_S:.0f} s: look at `ray status` for nodes that left and at the "
            "workers' logs for what killed them (often memory); the run continues "
            "from its checkpoint with the same command"
        )


def _answers(pings: dict[Any, int], timeout_s: float) -> set[int]:
    """Who of the pinged answers in time."""
    ready, _ = ray.wait(list(pings), num_returns=len(pings), timeout=timeout_s)
    present = set()
    for reference in ready:
        try:
            ray.get(reference, timeout=1.0)
            present.add(pings[reference])
        except LOST:
            continue
    return present

"""s_val solved beside training: hand a snapshot in, ask for S later.

Whoever solves, S is a function of the snapshot: the thread here and the actors of
`distributed.pool` give the same bytes.
"""

import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch

from infaug.config import InfluenceConfig
from infaug.data.on_disk import ImageSet
from infaug.influence.operator import Solution
from infaug.training.snapshot import Snapshot
from infaug.training.solve import solve_snapshot
from infaug.world import World


@dataclass(frozen=True)
class Solved:
    """A solution, and the seconds it took whoever solved it."""

    solution: Solution
    seconds: float


@runtime_checkable
class Pending(Protocol):
    """An S that is being solved for."""

    def wait(self, timeout_s: float) -> bool:
        """Whether `result` returns at once; waits for so long at most."""
        ...

    def result(self) -> Solved:
        """S, waited for if need be.

        Raises:
            ValueError: if the problem cannot be solved.
        """
        ...


@runtime_checkable
class Solver(Protocol):
    """Solves for S elsewhere while the caller goes on."""

    def submit(
        self,
        snapshot: Snapshot,
        train: ImageSet,
        influence: ImageSet,
        config: InfluenceConfig,
    ) -> Pending:
        """Begin to solve; the snapshot must not change any more."""
        ...


class InBackground:
    """A solver in a thread of this process, on one core.

    One, as an actor of the pool has: with more, sums would be added in another order,
    and F would be robbed of the cores it trains on.
    """

    def __init__(self):
        self._thread = ThreadPoolExecutor(1, "s_val", torch.set_num_threads, (1,))

    def submit(
        self,
        snapshot: Snapshot,
        train: ImageSet,
        influence: ImageSet,
        config: InfluenceConfig,
    ) -> "InThread":
        """Begin to solve once what was submitted before is solved."""
        work = (snapshot, train, influence, config)
        return InThread(self._thread.submit(_timed, *work))


@dataclass(frozen=True)
class InThread:
    """An S that the thread is solving for."""

    future: "Future[Solved]"

    def wait(self, timeout_s: float) -> bool:
        """Whether S is there; waits for so long at most."""
        return bool(wait([self.future], timeout_s).done)

    def result(self) -> Solved:
        """S, waited for if need be."""
        return self.future.result()


def _timed(
    snapshot: Snapshot, train: ImageSet, influence: ImageSet, config: InfluenceConfig
) -> Solved:
    began = time.perf_counter()
    solution = solve_snapshot(snapshot, train.select_all(), influence, config, World())
    return Solved(solution, time.perf_counter() - began)

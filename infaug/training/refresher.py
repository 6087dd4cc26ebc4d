"""When a training's s_val is solved: between F and E, or while F trains on.

Both give S at the same place of the alternation and log the same; they differ in which
F it belongs to. `overlap` takes F `refresh_lag` steps before its round of training
ends, and S is adopted at that end, waited for if it is late: so a run is a function of
its config, whatever the timing.
"""

import time
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from infaug.classify.network import ImageClassifier
from infaug.data.on_disk import ImageSet
from infaug.influence.operator import Solution
from infaug.training.overlap import InBackground, Pending, Solved, Solver
from infaug.training.solve import (
    damping_of,
    hessian_part,
    hessian_sample,
    is_sampled,
    refit,
    solve_s_val,
    take_snapshot,
)
from infaug.training.state import Training

POLL_S = 5.0  # for which the first process waits for S before it hears the others


@dataclass(frozen=True)
class Refreshed:
    """A new S and how it came about."""

    solution: Solution
    staleness: int
    """Steps F has trained since the snapshot."""
    solve_seconds: float
    waited_seconds: float
    """Of training, for this S: to hand the snapshot over and until S was there."""


@runtime_checkable
class Refresher(Protocol):
    """Gives each round its S."""

    influence: ImageSet

    def after(self, round_: int, steps: int) -> None:
        """F has done `steps` steps of a round."""
        ...

    def finish(self, round_: int) -> Refreshed:
        """The round's S."""
        ...


class Sync:
    """Solve when E needs S; all processes share the work, F waits."""

    def __init__(self, training: Training, influence: ImageSet):
        self.training, self.influence = training, influence

    def after(self, round_: int, steps: int) -> None:
        """Nothing begins before its time."""

    def finish(self, round_: int) -> Refreshed:
        """S of F as it stands, from the last S."""
        training, began = self.training, time.perf_counter()
        training.classifier.eval()
        with training.world.timer.time("s_val"):
            refit_frozen(training, round_)
            solution = solve_s_val(
                training.classifier,
                training.train,
                self.influence,
                training.seen,
                training.config.influence,
                training.seed,
                "refresh",
                round_,
                world=training.world,
                start=training.s_val,
            )
        seconds = time.perf_counter() - began
        return Refreshed(solution, 0, seconds, seconds)


class HandedOver:
    """A solver beside training solves for F as it stood `lag` steps ago.

    The first process hands the snapshot over and tells the others what came back. A
    checkpoint taken inside the lag holds the snapshot (`Training.frozen`), so a resumed
    run hands the same one over again.
    """

    def __init__(self, training: Training, influence: ImageSet, solver: Solver):
        self.training, self.influence, self.solver = training, influence, solver
        self.pending: Pending | None = None
        self.handing_over_s = 0.0

    def after(self, round_: int, steps: int) -> None:
        """Take the snapshot if this is its step, and have the solver begin."""
        if (
            steps == self.training.config.rounds.snapshot_step
            and self.training.frozen is None
        ):
            refit_frozen(self.training, round_)
            self.training.freeze()
        if self.training.frozen is not None and self.pending is None:
            began = time.perf_counter()
            with self.training.world.timer.time("s_val"):
                self._begin(self.training.frozen, round_)
            self.handing_over_s = time.perf_counter() - began

    def _begin(self, frozen: ImageClassifier, round_: int) -> None:
        training = self.training
        if not training.world.is_first:
            return
        config = training.config.influence
        snapshot = take_snapshot(
            frozen, training.seen, config,
            training.seed, "refresh", round_, start=training.s_val,
        )  # fmt: skip
        snapshot = snapshot.to(training.device)  # a copy: E and G must not change in it
        train = hessian_part(training.train, config, *snapshot.seed_key)
        self.pending = self.solver.submit(snapshot, train, self.influence, config)

    def finish(self, round_: int) -> Refreshed:
        """S of the snapshot, waited for if it is late."""
        self.after(round_, self.training.config.rounds.classifier_steps)
        began = time.perf_counter()
        with self.training.world.timer.time("s_val"):
            # No collective lasts longer than a poll, however late S is.
            while not self.training.world.first(self._is_ready):
                pass
            solved = self.training.world.first(self._result)
        self.pending, self.training.frozen = None, None
        waited = time.perf_counter() - began + self.handing_over_s
        self.handing_over_s = 0.0
        lag = self.training.config.rounds.lag
        return Refreshed(solved.solution, lag, solved.seconds, waited)

    def _is_ready(self) -> bool:
        assert self.pending is not None, "only the first process asks, and it began"
        return self.pending.wait(POLL_S)

    def _result(self) -> Solved:
        assert self.pending is not None, "only the first process asks, and it began"
        return self.pending.result()


def refit_frozen(training: Training, round_: int) -> None:
    """Bring F's head to its optimum if nothing else of F learns: S is exact there.

    Not where H averages over a sample: the head would forget the other images.
    """
    config = training.config
    is_whole = not is_sampled(training.train, config.influence)
    if config.classifier.freeze != "body" or not is_whole:
        return
    refit(
        training.classifier, training.train, training.seen,
        config.influence, training.seed, "refresh", round_, world=training.world,
    )  # fmt: skip


def fit_head_first(training: Training) -> None:
    """Bring F's head to its optimum before anything else of F learns.

    A new head sends large gradients into pretrained layers and distorts them; one that
    fits asks little of them (Kumar et al., ICLR 2022: LP-FT).
    """
    classifier, world = training.classifier, training.world
    config, seed = training.config.influence, training.seed
    needed = damping_of(classifier, training.train, world, training.device)
    refit(
        classifier,
        hessian_sample(training.train, config, seed, "head first", world=world),
        training.augments,
        replace(config, damping=max(config.damping, needed)),
        *(seed, "head first"),
        world=world,
    )


def build_refresher(
    training: Training, influence: ImageSet, solver: Solver | None
) -> Refresher:
    """The refresher that `rounds.refresh` names; a given solver is used by both."""
    if solver is None and training.config.rounds.refresh == "sync":
        return Sync(training, influence)
    return HandedOver(training, influence, solver or InBackground())

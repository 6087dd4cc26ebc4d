"""Tune's schedulers and searchers, with what a sweep has already found."""

import math
import random
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from ray import tune
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    PopulationBasedTraining,
    TrialScheduler,
)
from ray.tune.search import Searcher

from infaug.experiment.sweep.changes import may_move
from infaug.experiment.sweep.ledger import Ledger
from infaug.experiment.sweep.plan import Sweep
from infaug.experiment.sweep.proposals import DEFAULT, propose
from infaug.experiment.sweep.space import Between, Distribution, Space


def scheduler_of(sweep: Sweep, ledger: Ledger) -> TrialScheduler:
    """Who decides which trials go on."""
    how = sweep.how
    wanted: dict[str, Any] = {"metric": how.objective, "mode": mode_of(sweep)}
    grace = math.ceil(how.grace * sweep.steps)
    if how.scheduler == "none":
        return FIFOScheduler()
    if how.scheduler == "pbt":
        moving = {name: each for name, each in sweep.space.items() if may_move(name)}
        return PopulationBasedTraining(
            time_attr="steps",
            perturbation_interval=grace,
            hyperparam_mutations={n: _mutation(each) for n, each in moving.items()},
            custom_explore_fn=partial(_within, moving),
            **wanted,
        )
    asha = AsyncHyperBandScheduler(
        time_attr="steps",
        max_t=sweep.steps + 1,  # A trial ends by itself.
        grace_period=grace,
        reduction_factor=how.reduction,
        **wanted,
    )
    remember(asha, ledger)
    return asha


def mode_of(sweep: Sweep) -> str:
    """Which objective is better."""
    return "min" if sweep.how.objective == "loss" else "max"


def remember(asha: AsyncHyperBandScheduler, ledger: Ledger) -> None:
    """Tell ASHA how the trials that have ended stood at its milestones.

    Those that go on report them again.
    """
    for trial in ledger.trials.values():
        if trial.end is None:
            continue
        known: Any = SimpleNamespace(trial_id=trial.name)
        nobody: Any = None
        asha.on_trial_add(nobody, known)
        for each in trial.rounds:
            found = {"steps": each.steps, "loss": each.loss, "top1": each.top1}
            asha.on_trial_result(nobody, known, found)
        asha.on_trial_remove(nobody, known)


def space_of(
    sweep: Sweep, ledger: Ledger, waiting: list[str]
) -> tuple[dict[str, Any], Searcher | None, int]:
    """Tune's search space, its searcher, and how many trials it proposes.

    Settings drawn at random are known beforehand; Optuna decides as it goes.
    """
    if sweep.how.searcher == "optuna":
        return {}, StudySearcher(sweep, ledger, waiting), len(waiting)
    for name in waiting:
        if name not in ledger.trials:
            ledger.propose(
                name, propose(name, sweep.space, sweep.config, sweep.how.seed)
            )
    changes = {name: ledger.trials[name].changes for name in waiting}
    values = {path: tune.sample_from(_value(changes, path)) for path in sweep.space}
    return {"trial": tune.grid_search(waiting), **values}, None, 1


def _value(changes: dict[str, dict[str, Any]], path: str) -> Callable[[Any], Any]:
    return lambda spec: changes[spec.config.trial][path]


class StudySearcher(Searcher):
    """Optuna behind Tune's interface: settings that were proposed before come first."""

    def __init__(self, sweep: Sweep, ledger: Ledger, waiting: list[str]):
        from infaug.experiment.sweep.optuna_study import Study

        super().__init__(metric=sweep.how.objective, mode=mode_of(sweep))
        self.sweep, self.ledger, self.waiting = sweep, ledger, list(waiting)
        self.study = Study(sweep.space, sweep.how.seed, sweep.how.objective)
        for trial in ledger.trials.values():
            self.study.remember(trial)
        self.names: dict[str, str] = {}

    def suggest(self, trial_id: str) -> Any:
        """The settings of the next trial."""
        if not self.waiting:
            return Searcher.FINISHED
        name = self.names[trial_id] = self.waiting.pop(0)
        if name not in self.ledger.trials:
            if name == DEFAULT:
                changes = propose(name, self.sweep.space, self.sweep.config, 0)
            else:
                changes = self.study.ask()
            self.ledger.propose(name, changes)
            self.study.remember(self.ledger.trials[name])
        return {"trial": name, **self.ledger.trials[name].changes}

    def on_trial_complete(
        self, trial_id: str, result: dict | None = None, error: bool = False
    ) -> None:
        """Give Optuna the result."""
        self.study.remember(self.ledger.trials[self.names[trial_id]])

    def save(self, checkpoint_path: str) -> None:
        """The ledger holds everything."""

    def restore(self, checkpoint_path: str) -> None:
        """The ledger holds everything."""


def _mutation(distribution: Distribution) -> Any:
    if isinstance(distribution, Between):
        return partial(_draw, distribution)
    return list(distribution.values)


def _draw(distribution: Distribution) -> Any:
    return distribution.at(random.random())


def _within(moving: Space, config: dict[str, Any]) -> dict[str, Any]:
    """Settings that PBT has changed, back between their bounds."""
    for name, distribution in moving.items():
        if isinstance(distribution, Between):
            low, high = distribution.ends
            config[name] = min(max(config[name], low), high)
    return config

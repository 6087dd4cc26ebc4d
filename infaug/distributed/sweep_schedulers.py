"""Tune's schedulers and searchers, with what a sweep has already found."""

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from ray import tune
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    PopulationBasedTraining,
    TrialScheduler,
)
from ray.tune.schedulers.pb2 import PB2
from ray.tune.search import Searcher

from infaug.experiment.sweep.changes import DEFAULT, may_move, propose
from infaug.experiment.sweep.cost import bracket_weight
from infaug.experiment.sweep.ledger import Ledger, Tried
from infaug.experiment.sweep.plan import Sweep
from infaug.experiment.sweep.space import Between, Distribution, Space


def scheduler_of(sweep: Sweep, ledger: Ledger) -> TrialScheduler:
    """Who decides which trials go on."""
    how = sweep.how
    wanted: dict[str, Any] = {"metric": how.objective, "mode": mode_of(sweep)}
    grace = sweep.grace_steps
    if how.scheduler == "none":
        return FIFOScheduler()
    moving = {name: each for name, each in sweep.space.items() if may_move(name)}
    if how.scheduler == "pbt":
        return PopulationBasedTraining(
            time_attr="steps",
            perturbation_interval=grace,
            hyperparam_mutations={n: _mutation(each) for n, each in moving.items()},
            custom_explore_fn=partial(_within, moving),
            **wanted,
        )
    if how.scheduler == "pb2":
        return PB2(
            time_attr="steps",
            perturbation_interval=grace,
            hyperparam_bounds={name: [0.0, 1.0] for name in moving},
            **wanted,
        )
    asha = Brackets(
        time_attr="steps",
        max_t=sweep.steps + 1,  # A trial ends by itself.
        grace_period=grace,
        reduction_factor=how.reduction,
        brackets=len(sweep.rungs) + 1 if how.scheduler == "hyperband" else 1,
        **wanted,
    )
    remember(asha, ledger)
    return asha


class Brackets(AsyncHyperBandScheduler):
    """ASHA in one bracket; asynchronous Hyperband in several.

    Both are of "A System for Massively Parallel Hyperparameter Tuning" (Li et al.,
    MLSys 2020, algorithm 2 and section 3.3).

    A bracket lacks the first k milestones; see `bracket_weight`. Ray's class deals them
    out at random; here the number of a trial decides, so that a sweep that is continued
    deals as before. Ray's synchronous HyperBandScheduler would hold trials back, and
    forget where they stand when the driver dies.
    """

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Give a trial its bracket."""
        milestones = [[at for at, _ in each._rungs] for each in self._brackets]
        # One at the last step stops nothing.
        left = [sum(at < self._max_t - 1 for at in each) for each in milestones]
        weights = [bracket_weight(num, self._reduction_factor) for num in left]
        number = int(trial.config["trial"].removeprefix("t"))
        self._trial_info[trial.trial_id] = self._brackets[dealt(number, weights)]


def dealt(number: int, weights: Sequence[float]) -> int:
    """Who gets a card, where cards are dealt in proportion to weights.

    >>> [dealt(number, (3.0, 1.5, 1.0)) for number in range(8)]
    [0, 0, 1, 0, 2, 0, 1, 0]
    """
    have, taker = [0] * len(weights), 0
    for _ in range(number + 1):
        # Who would still have the least for its weight.
        taker = min(range(len(have)), key=lambda k: (have[k] + 1) / weights[k])
        have[taker] += 1
    return taker


def mode_of(sweep: Sweep) -> str:
    """Which objective is better."""
    return "min" if sweep.how.objective == "loss" else "max"


def remember(asha: AsyncHyperBandScheduler, ledger: Ledger) -> None:
    """Give ASHA the reports of the trials that have ended.

    Those that go on report them again.
    """
    for trial in ledger.trials.values():
        if trial.end is None:
            continue
        config = {"trial": trial.name}
        known: Any = SimpleNamespace(trial_id=trial.name, config=config)
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
        return {}, OptunaSearcher(sweep, ledger, waiting), len(waiting)
    for name in waiting:
        if name not in ledger.trials:
            ledger.propose(
                name, propose(name, sweep.space, sweep.config, sweep.how.seed)
            )
    changes = {name: ledger.trials[name].changes for name in waiting}
    if sweep.how.scheduler == "pb2":
        changes = {
            name: _as_places(sweep.space, each) for name, each in changes.items()
        }
    values = {path: tune.sample_from(_value(changes, path)) for path in sweep.space}
    return {"trial": tune.grid_search(waiting), **values}, None, 1


def _value(changes: dict[str, dict[str, Any]], path: str) -> Callable[[Any], Any]:
    return lambda spec: changes[spec.config.trial][path]


class OptunaSearcher(Searcher):
    """Optuna's TPE behind Tune's interface: known settings come first.

    Optuna is an extra that nothing else needs.

    Raises:
        ValueError: if Optuna is not installed.
    """

    def __init__(self, sweep: Sweep, ledger: Ledger, waiting: list[str]):
        super().__init__(metric=sweep.how.objective, mode=mode_of(sweep))
        try:
            self.optuna: Any = import_module("optuna")
        except ImportError as error:
            raise ValueError(
                "sweep.searcher optuna needs Optuna: pip install 'infaug[optuna]', or "
                "take random"
            ) from error
        self.optuna.logging.set_verbosity(self.optuna.logging.WARNING)
        self.sweep, self.ledger, self.waiting = sweep, ledger, list(waiting)
        self.names: dict[str, str] = {}
        self.distributions = {
            name: self._distribution(each) for name, each in sweep.space.items()
        }

    def suggest(self, trial_id: str) -> Any:
        """The settings of the next trial."""
        if not self.waiting:
            return Searcher.FINISHED
        name = self.names[trial_id] = self.waiting.pop(0)
        if name not in self.ledger.trials:
            space, config = self.sweep.space, self.sweep.config
            is_first = name == DEFAULT
            changes = propose(name, space, config, 0) if is_first else self.ask()
            self.ledger.propose(name, changes)
        return {"trial": name, **self.ledger.trials[name].changes}

    def ask(self) -> dict[str, Any]:
        """Settings for the next trial, after all that the ledger knows by now.

        The study is made anew, so a continued sweep asks as an undisturbed one would
        after the same trials.
        """
        known, space = self.ledger.trials.values(), self.sweep.space
        sampler = self.optuna.samplers.TPESampler(
            seed=self.sweep.how.seed + len(known), constant_liar=True
        )
        study = self.optuna.create_study(direction="maximize", sampler=sampler)
        for trial in known:
            if all(trial.changes[name] in space[name] for name in space):
                study.add_trial(self._frozen(trial))
        return dict(study.ask(self.distributions).params)

    def _frozen(self, trial: Tried) -> Any:
        states = self.optuna.trial.TrialState
        state = {
            "completed": states.COMPLETE, "stopped": states.PRUNED,
            "failed": states.FAIL, None: states.RUNNING,
        }[trial.end]  # fmt: skip
        objective = self.sweep.how.objective
        merits = {each.steps: each.merit(objective) for each in trial.rounds}
        return self.optuna.trial.create_trial(
            state=state,
            params={name: trial.changes[name] for name in self.sweep.space},
            distributions=self.distributions,
            value=merits[max(merits)] if state == states.COMPLETE else None,
            intermediate_values=merits,
        )

    def _distribution(self, each: Distribution) -> Any:
        kinds = self.optuna.distributions
        if not isinstance(each, Between):
            return kinds.CategoricalDistribution(each.values)
        if each.whole:
            return kinds.IntDistribution(int(each.low), int(each.high), log=each.log)
        return kinds.FloatDistribution(each.low, each.high, log=each.log)

    def on_trial_complete(
        self, trial_id: str, result: dict | None = None, error: bool = False
    ) -> None:
        """The ledger has the result."""

    def save(self, checkpoint_path: str) -> None:
        """The ledger holds everything."""

    def restore(self, checkpoint_path: str) -> None:
        """The ledger holds everything."""


def _as_places(space: Space, changes: dict[str, Any]) -> dict[str, Any]:
    """What moves as its place between the bounds, 0 to 1: PB2 knows numbers alone."""
    return {
        name: float(space[name].place(value)) if may_move(name) else value
        for name, value in changes.items()
    }


def from_places(space: Space, places: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that PB2 means."""
    return {
        name: space[name].at(float(value)) if may_move(name) else value
        for name, value in places.items()
    }


def _mutation(distribution: Distribution) -> Any:
    if isinstance(distribution, Between):
        return lambda: distribution.at(random.random())
    return list(distribution.values)


def _within(moving: Space, config: dict[str, Any]) -> dict[str, Any]:
    """Settings that PBT has changed, back between their bounds."""
    for name, distribution in moving.items():
        if isinstance(distribution, Between):
            low, high = distribution.ends
            config[name] = min(max(config[name], low), high)
    return config

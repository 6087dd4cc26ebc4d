"""Settings proposed by Optuna's TPE; Optuna is an extra that nothing else needs."""

from importlib import import_module
from typing import Any

from infaug.config import Objective
from infaug.experiment.sweep.ledger import Tried
from infaug.experiment.sweep.space import Between, Space


class Study:
    """An Optuna study in memory, rebuilt from the ledger when a sweep continues.

    Args:
        space: what is searched.
        seed: of the proposals.
        objective: larger merit is better, see `Progress.merit`.

    Raises:
        ValueError: if Optuna is not installed.
    """

    def __init__(self, space: Space, seed: int, objective: Objective):
        try:
            optuna: Any = import_module("optuna")
        except ImportError as error:
            raise ValueError(
                "sweep.searcher optuna needs Optuna: pip install 'infaug[optuna]', or "
                "take random"
            ) from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self.space = optuna, space
        self.objective: Objective = objective
        self._seed = seed
        self._known: dict[str, Tried] = {}
        self._distributions = {
            name: _distribution(optuna, each) for name, each in space.items()
        }

    def remember(self, trial: Tried) -> None:
        """A trial that was proposed, or what became of it."""
        self._known[trial.name] = trial

    def ask(self) -> dict[str, Any]:
        """Settings for the next trial, after all that is known by now.

        The study is made anew, so a continued sweep asks as an undisturbed one would
        after the same trials.
        """
        optuna = self._optuna
        sampler = optuna.samplers.TPESampler(
            seed=self._seed + len(self._known), constant_liar=True
        )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for trial in self._known.values():
            if all(trial.changes[name] in self.space[name] for name in self.space):
                study.add_trial(self._frozen(trial))
        return dict(study.ask(self._distributions).params)

    def _frozen(self, trial: Tried) -> Any:
        states = self._optuna.trial.TrialState
        state = {
            "completed": states.COMPLETE,
            "stopped": states.PRUNED,
            "failed": states.FAIL,
            None: states.RUNNING,
        }[trial.end]
        merits = {each.steps: each.merit(self.objective) for each in trial.rounds}
        value = merits[max(merits)] if state == states.COMPLETE else None
        return self._optuna.trial.create_trial(
            state=state,
            params={name: trial.changes[name] for name in self.space},
            distributions=self._distributions,
            value=value,
            intermediate_values=merits,
        )


def _distribution(optuna: Any, each: Any) -> Any:
    kinds = optuna.distributions
    if not isinstance(each, Between):
        return kinds.CategoricalDistribution(each.values)
    if each.whole:
        return kinds.IntDistribution(int(each.low), int(each.high), log=each.log)
    return kinds.FloatDistribution(each.low, each.high, log=each.log)

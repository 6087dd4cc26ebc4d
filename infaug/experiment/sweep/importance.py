"""Which settings a sweep's outcome hangs on, as far as its few trials can tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from infaug.config import Objective
from infaug.experiment.sweep.best import common_steps
from infaug.experiment.sweep.ledger import Tried
from infaug.experiment.sweep.space import Space

LEAST_TRIALS = 8
NUM_TREES = 200
NUM_SHUFFLES = 10


@dataclass(frozen=True, kw_only=True)
class Importance:
    """How much a forest's prediction of the objective suffers without each setting.

    Attributes:
        by_name: mean loss of R^2 when the setting is shuffled among the trials, most
            important first.
        explained: the forest's R^2 on trials that it was not grown from (out of bag).
            Near or below 0 it has learned nothing, and neither can a reader.
        steps: of F after which the trials were compared: all had come so far.
        num_trials: that were compared.
    """

    by_name: dict[str, float]
    explained: float
    steps: int
    num_trials: int


def importance(
    trials: Sequence[Tried], space: Space, objective: Objective
) -> Importance | None:
    """What a random forest over all trials says; None of too few to tell anything."""
    seen = [trial for trial in trials if trial.rounds]
    if len(seen) < LEAST_TRIALS:
        return None
    steps = common_steps(seen)
    reports = [trial.at(steps) for trial in seen]
    merits = np.array([report.merit(objective) for report in reports if report])
    assert len(merits) == len(seen), "all have come so far"
    names = list(space)
    places = np.array([[space[n].place(t.changes[n]) for n in names] for t in seen])
    forest = RandomForestRegressor(NUM_TREES, oob_score=True, random_state=0)
    forest.fit(places, merits)
    found: Any = permutation_importance(
        forest, places, merits, n_repeats=NUM_SHUFFLES, random_state=0
    )
    means = dict(zip(names, map(float, found.importances_mean), strict=True))
    return Importance(
        by_name=dict(sorted(means.items(), key=lambda item: -item[1])),
        explained=float(forest.oob_score_),
        steps=steps,
        num_trials=len(seen),
    )


def said(found: Importance) -> str:
    """The most important settings in a line, with a warning where it says nothing."""
    first = list(found.by_name.items())[:3]
    parts = ", ".join(f"{name} {value:.2f}" for name, value in first)
    about = f"{found.num_trials} trials at step {found.steps}"
    line = f"importance ({about}): {parts}"
    if found.explained <= 0:
        line += "; but a forest predicts no trial from the others: take it for noise"
    return line

"""Optuna proposes from what the ledger knows; without it the remedy is named."""

import sys

import pytest

from infaug.experiment.sweep.optuna_study import Study
from infaug.experiment.sweep.proposals import propose

from .cases import SMALL, SPACE, tried


def test_without_optuna_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ValueError, match=r"pip install 'infaug\[optuna\]'"):
        Study(SPACE, 0, "loss")


def test_a_study_made_anew_asks_the_same_and_learns_from_what_ended():
    pytest.importorskip("optuna")
    trials = []
    for number in range(14):
        changes = propose(f"t{number + 1:02d}", SPACE, SMALL, 0)
        place = SPACE["estimator.learning_rate"].place(
            changes["estimator.learning_rate"]
        )
        end = "stopped" if number % 3 == 0 else "completed"
        trials.append(tried(f"t{number + 1:02d}", [2 + place, place], end, **changes))
    trials.append(tried("t20", [], None, **propose("t20", SPACE, SMALL, 0)))

    def asked(seed: int) -> dict:
        study = Study(SPACE, seed, "loss")
        for trial in trials:
            study.remember(trial)
        return study.ask()

    first = asked(0)
    assert first == asked(0)
    assert all(first[name] in SPACE[name] for name in SPACE)
    # The loss grows with the learning rate: proposals lie in the lower half.
    places = [
        SPACE["estimator.learning_rate"].place(asked(s)["estimator.learning_rate"])
        for s in range(5)
    ]
    assert sum(places) / len(places) < 0.4

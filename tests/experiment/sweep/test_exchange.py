"""Weights that change hands: the taker goes on from the giver's round."""

from dataclasses import replace

import pytest
from tiny import CONFIG

from infaug.data.source import load
from infaug.experiment.sweep.exchange import go_on, pack
from infaug.experiment.sweep.held_out import without_test
from infaug.experiment.sweep.trial import Trial, kept_rounds, run_trial

from .cases import SMALL

GIVER = Trial(row="base_learned", seed=0, config=SMALL)
RATE = replace(SMALL.estimator, learning_rate=0.01)
TAKER = replace(GIVER, config=replace(SMALL, estimator=RATE))


@pytest.mark.slow
def test_the_taker_goes_on_from_a_copy_with_its_own_settings(tmp_path):
    source = without_test(load(CONFIG.data), CONFIG.data)
    trials, told = tmp_path / "trials", []
    trials.mkdir()

    def report(progress):
        told.append(progress)
        if len(told) == 2:
            pack(trials / "t00", tmp_path)
            raise SystemExit

    with pytest.raises(SystemExit):
        run_trial(GIVER, source, trials / "t00", None, report)
    run = tmp_path / "run"
    assert len(kept_rounds(run, GIVER)) == 2
    assert go_on(run, GIVER, trials, "t00") == "t00", "its own stays where it is"
    home = go_on(run, TAKER, trials, "t01")
    assert home == "t01.0"
    after = []
    run_trial(TAKER, source, trials / home, None, after.append)
    assert [(p.steps, p.loss) for p in after[:2]] == [(p.steps, p.loss) for p in told]
    assert [p.steps for p in after] == [3, 6, 9, 12]
    assert go_on(run, TAKER, trials, "t01") == "t01.1"

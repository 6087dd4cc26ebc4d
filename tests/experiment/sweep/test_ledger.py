"""The ledger: what a killed sweep continues from."""

from infaug.experiment.sweep.ledger import Ledger

from .cases import progress


def test_what_was_written_is_known_after_a_kill_in_the_middle_of_a_line(tmp_path):
    path = tmp_path / "sweep.jsonl"
    ledger = Ledger(path)
    ledger.propose("t00", {"influence.damping": 0.1})
    ledger.propose("t01", {"influence.damping": 0.2})
    ledger.report("t00", progress(3, 0.5), {}, "t00")
    ledger.finish("t00", "stopped")
    with path.open("a") as file:
        file.write('{"event": "ended", "trial": "t0')
    again = Ledger(path)
    assert again.trials == ledger.trials
    assert again.open_of(["t00", "t01", "t02"]) == ["t01", "t02"]
    again.finish("t01", "failed", "why not")
    assert Ledger(path).trials["t01"].why == "why not"


def test_rounds_that_are_said_again_are_written_once(tmp_path):
    ledger = Ledger(tmp_path / "sweep.jsonl")
    ledger.propose("t00", {})
    for steps in (3, 6, 3, 6, 9):
        ledger.report("t00", progress(steps, 1 / steps), {}, "t00")
    assert [each.steps for each in ledger.trials["t00"].rounds] == [3, 6, 9]
    assert len(ledger.path.read_text().splitlines()) == 4


def test_who_takes_over_anothers_weights_goes_on_from_where_that_one_stood(tmp_path):
    ledger = Ledger(tmp_path / "sweep.jsonl")
    ledger.propose("t00", {"x": 1})
    for steps in (3, 6, 9):
        ledger.report("t00", progress(steps, 0.9), {"x": 1}, "t00")
    for steps in (3, 6):
        ledger.report("t00", progress(steps, 0.1), {"x": 2}, "t00.0")
    trial = Ledger(ledger.path).trials["t00"]
    assert (trial.home, trial.changes) == ("t00.0", {"x": 2})
    assert [each.loss for each in trial.rounds] == [0.1, 0.1]

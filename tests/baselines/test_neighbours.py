"""Rows that use the influence images otherwise, from end to end."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from killed import contents
from tiny import CONFIG, tiny

from infaug.config import BackoffConfig
from infaug.experiment.run import run
from infaug.experiment.verdict import Verdict
from infaug.record.display import Display
from infaug.record.folder import RunFolder
from infaug.report.verdict import describe
from infaug.training import review

METHODS = ("reweighted", "bilevel_learned")
DOOMS = [
    ("reweighted", 1, "classify", 5),
    ("bilevel_learned", 0, "estimate", 4),
]


def test_runs_interrupted_anywhere_end_with_the_bytes_of_the_undisturbed_one(
    tmp_path: Path, monkeypatch
):
    config = tiny(methods=METHODS)
    result = run(config, tmp_path / "calm", shown=False)
    assert list(result["methods"]) == list(METHODS)
    (compared,) = result["comparisons"]
    assert (compared["method"], compared["control"]) == METHODS[::-1]
    live = Display.step
    for doom in DOOMS:

        def step(self, cell, labels, round_, phase, steps, number, metrics, doom=doom):
            if (labels["row"], round_, phase, number) == doom:
                raise KeyboardInterrupt
            live(self, cell, labels, round_, phase, steps, number, metrics)

        monkeypatch.setattr(Display, "step", step)
        with pytest.raises(KeyboardInterrupt):
            run(config, tmp_path / "broken", shown=False)
    monkeypatch.setattr(Display, "step", live)
    run(config, tmp_path / "broken", shown=False)
    calm, broken = contents(tmp_path / "calm"), contents(tmp_path / "broken")
    assert list(calm) == list(broken)
    assert not [name for name in calm if calm[name] != broken[name]]
    lines = RunFolder(tmp_path / "calm").lines("metrics.jsonl")
    phases = {row: {m["phase"] for m in lines if m["row"] == row} for row in METHODS}
    assert phases["reweighted"] == {"classify", "refresh"}
    assert phases["bilevel_learned"] == {"classify", "estimate", "review"}


def test_a_view_learned_by_looking_ahead_can_be_given_up_too(
    tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(review, "suspicion", lambda *_: "asked for")
    monkeypatch.setattr(review, "harm_of_view", lambda *_: 1 + torch.rand(9) / 9)
    config = replace(
        CONFIG,
        methods=("bilevel_learned",),
        rounds=replace(CONFIG.rounds, rounds=3),
        backoff=BackoffConfig(attempts=0),
    )
    result = run(config, tmp_path / "run", shown=False)
    assert describe(Verdict.from_dict(result["verdict"])).startswith(
        "undecided: keep the base augmentation"
    )

"""Refreshes that overlap with training: what F they see, whatever the timing."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from killed import different, start_and_kill
from resolved import training_of
from tiny import CONFIG, tiny

from infaug.experiment.run import run
from infaug.record.folder import RunFolder
from infaug.training.alternation import classify
from infaug.training.overlap import InBackground
from infaug.training.refresher import build_refresher
from infaug.training.solve import solve_s_val
from infaug.training.train import Services
from infaug.world import World

OVERLAPPED = tiny(
    controls="none",
    rounds=replace(
        CONFIG.rounds, refresh="overlap", refresh_lag=4, checkpoint_every_steps=1
    ),
)


class AtOnce:
    """A solver that is done before training goes on, and says so only when asked."""

    def submit(self, snapshot, train, influence, config):
        pending = InBackground().submit(snapshot, train, influence, config)
        pending.result()
        return pending


@pytest.fixture(scope="module")
def overlapped(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("overlapped") / "run"
    run(OVERLAPPED, out, shown=False)
    return out


def test_s_belongs_to_f_as_it_was_refresh_lag_steps_before(splits):
    training, early = (
        training_of("base_learned", splits, OVERLAPPED) for _ in range(2)
    )
    refresher = build_refresher(training, splits.influence, None)
    list(classify(training, 0, range(6), splits.selection, refresher))
    adopted = refresher.finish(0)
    list(classify(early, 0, range(2), splits.selection))
    early.classifier.eval()
    expected = solve_s_val(
        early.classifier, early.train, splits.influence, early.augments,
        early.config.influence, 0, "refresh", 0, world=World(), start=early.s_val,
    )  # fmt: skip
    assert adopted.staleness == 4
    assert adopted.solution.value.equal(expected.value)
    assert training.frozen is None


def test_the_solvers_speed_does_not_change_a_byte(overlapped, tmp_path):
    run(OVERLAPPED, tmp_path / "run", shown=False, services=Services(solver=AtOnce()))
    assert different(overlapped, tmp_path / "run") == []


def test_the_thread_solves_on_one_core_and_leaves_the_others_theirs():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        solver = InBackground()
        assert solver._thread.submit(torch.get_num_threads).result() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_given_solver_does_not_change_a_synchronous_run(tmp_path):
    config = tiny(methods=("base_learned",))
    run(config, tmp_path / "own", shown=False)
    run(
        config,
        tmp_path / "given",
        shown=False,
        services=Services(solver=InBackground()),
    )
    assert different(tmp_path / "own", tmp_path / "given") == []


def test_staleness_is_a_metric_and_waiting_a_timing(overlapped):
    def lines(name: str) -> list[dict]:
        found = RunFolder(overlapped).lines(name)
        return [line for line in found if line["phase"] == "refresh"]

    assert {"residual", "products", "status"} <= lines("metrics.jsonl")[0].keys()
    assert [line["staleness"] for line in lines("metrics.jsonl")] == [4, 4]
    for line in lines("timings.jsonl"):
        assert line["staleness_steps"] == 4
        assert line["waited_seconds"] > 0
        assert line["solve_seconds"] > 0


@pytest.mark.slow
def test_a_run_killed_inside_the_lag_ends_with_the_bytes_of_the_undisturbed_one(
    overlapped, tmp_path
):
    dooms = [
        ["base_learned", 0, "classify", 3],  # just after the snapshot
        ["base_learned", 0, "classify", 6],
        ["base_learned", 0, "refresh", 1],
        ["pooled_learned", 0, "classify", 4],
        ["pooled_learned", 0, "estimate", 1],
    ]
    start_and_kill(tmp_path / "run", dooms, OVERLAPPED)
    assert different(tmp_path / "run", overlapped) == []

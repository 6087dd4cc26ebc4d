"""The reference is chosen by selection; what was not run is said to be so."""

import csv
import json

import pyarrow.parquet as pq
import pytest
from tiny import CONFIG

from infaug.experiment.leaderboard import best_policy, board
from infaug.experiment.table_plan import Column, Results, table_training
from infaug.record.table_file import as_csv, as_parquet
from infaug.report.pictures import draw_leaderboard
from infaug.report.tables import KINDS, findings, markdown, rows

COLUMN = Column(title="Digits", config=CONFIG)
METHODS = ("none", "base", "base_learned", "pooled", "oracle")

# Test and selection accuracy by seed: the best on test is not the best on selection.
FOUND = {
    "none": ([95.0, 96.0, 97.0], [60.0, 60.0, 60.0]),
    "base": ([90.0, 91.0, 92.5], [80.0, 81.0, 82.0]),
    "base_learned": ([93.0, 94.0, 95.0], [99.0, 99.0, 99.0]),
    "pooled": ([89.0], [99.0]),
}


@pytest.fixture
def results(tmp_path) -> Results:
    found = Results(tmp_path / "results.jsonl")
    for method, (tops, chosen) in FOUND.items():
        for seed, (test, selection) in enumerate(zip(tops, chosen, strict=True)):
            found.add({
                "method": method, "seed": seed,
                "config": table_training(method, seed, CONFIG).settings,
                "test_top1": test, "selection_top1": selection, "selection_loss": 0.5,
                "device": "cpu", "threads": 2, "seconds": 10.0, "images": 500,
            })  # fmt: skip
    return found


def test_the_reference_is_the_fixed_policy_that_is_best_on_selection(results):
    found = board(COLUMN, METHODS, 3, results)
    assert found.reference == "base"
    assert [e.method for e in found.entries] == [
        "none", "base_learned", "base", "pooled", "oracle",
    ]  # fmt: skip


def test_learning_methods_and_those_with_more_labels_are_no_fixed_policies():
    better = {"selection_top1": 99.0, "selection_loss": 0.1}
    assert best_policy({"base_learned": [better], "pooled": [better]}) is None
    loss = {"selection_top1": 99.0, "selection_loss": 0.0}
    assert best_policy({"none": [better], "base": [loss]}) == "base"


def test_differences_are_paired_and_called_by_their_intervals(results):
    of = {e.method: e for e in board(COLUMN, METHODS, 3, results).entries}
    learned = of["base_learned"].against
    assert learned.difference == pytest.approx((3 + 3 + 2.5) / 3)
    assert learned.low > 0
    verdicts = {name: entry.verdict for name, entry in of.items()}
    assert verdicts == {
        "none": "better", "base": "reference", "base_learned": "better",
        "pooled": "undecided", "oracle": "not run",
    }  # fmt: skip
    assert (of["base"].cpu_seconds, of["base"].gpu_seconds) == (60.0, None)
    assert of["base"].images == 1500
    assert of["pooled"].missing == (1, 2)


def test_what_a_learned_method_does_not_beat_is_said_by_name(results):
    first, second = findings(board(COLUMN, METHODS, 3, results))
    assert "base is the best fixed policy by selection (81.0 % there" in first
    assert "base_learned beats base; does not beat none (-2.0" in second


def test_all_files_hold_the_same_numbers(results, tmp_path):
    boards = [board(COLUMN, METHODS, 3, results)]
    expected = rows(boards)
    (tmp_path / "b.csv").write_bytes(as_csv(expected))
    (tmp_path / "b.parquet").write_bytes(as_parquet(expected, KINDS))
    assert pq.read_table(tmp_path / "b.parquet").to_pylist() == expected
    with (tmp_path / "b.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [row["method"] for row in written] == [row["method"] for row in expected]
    assert float(written[1]["difference"]) == expected[1]["difference"]
    json.dumps(expected)
    draw_leaderboard(boards, tmp_path / "b.png")
    assert (tmp_path / "b.png").stat().st_size > 5_000


def test_the_table_marks_what_is_not_run(results):
    boards = [board(COLUMN, METHODS, 3, results)]
    text = markdown(boards, 3, "infaug compare")
    assert "| `oracle` | not run |" in text
    assert "| `pooled` | 89.0, 1 of 3 seeds | -1.0, one seed | undecided |" in text
    assert "Not run, or not for all seeds: `--methods pooled oracle`." in text

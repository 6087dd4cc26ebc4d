"""What of a run an experiment tracker is told; no tracker is needed."""

import json
import shutil

import pytest
from finished import LOSSES, finished_run
from pictured import metrics, pictured_run, unfinished_run

from infaug.config import RunConfig
from infaug.record.place import Place, position
from infaug.report.facts import read_facts
from infaug.report.settings import leaves
from infaug.report.tracked import Tracked, tracked


def told(run) -> Tracked:
    return tracked(read_facts(run, str(run)))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return pictured_run(tmp_path_factory.mktemp("tracked") / "run")


def test_every_number_of_the_metrics_is_told_at_its_place_on_tensorboards_axis(run):
    rounds = read_facts(run, "run").config.rounds
    cells = {(cell.row, cell.seed): cell for cell in told(run).cells}
    assert len(cells) == 2 * len(LOSSES)
    for line in metrics():
        at = {key: line[key] for key in ("round", "phase", "step")}
        here = position(Place(**at), rounds)
        logged = cells[line["row"], line["seed"]].lines
        (mine,) = [each for each in logged if each.position == here]
        for name in set(line) - {"row", "seed", *at}:
            value = mine.numbers.get(f"{line['phase']}/{name}")
            assert value == (None if isinstance(line[name], str) else line[name])


def test_a_finished_cell_ends_with_the_numbers_of_its_result(run):
    cell = next(each for each in told(run).cells if each.name == "base-seed1")
    assert cell.found == {
        "selection_loss": 0.5, "selection_top1": 90.0, "test_top1": 50.0,
    }  # fmt: skip
    assert cell.seconds == 4.0
    assert told(run).found["test_top1/base_learned"] == pytest.approx(30)


def test_every_setting_is_told_by_its_name(run):
    settings = told(run).settings
    names = [name for name, _ in leaves(RunConfig()) if name != "seeds"]
    assert list(settings) == names
    assert settings["rounds.classifier_steps"] == "6"


FIRST = "trainings/base-seed0/timings.jsonl"


def test_a_run_is_known_again_wherever_its_folder_lies(run, tmp_path):
    moved = shutil.copytree(run, tmp_path / "moved")
    assert told(moved).mark == told(run).mark
    first, *others = (run / FIRST).read_text().splitlines(keepends=True)
    slower = json.dumps(json.loads(first) | {"seconds": 2.00001}) + "\n"
    (moved / FIRST).write_text(slower + "".join(others))
    assert told(moved).mark != told(run).mark, "another run with the same settings"


def test_a_run_that_more_seeds_were_asked_of_is_the_same_run(run, tmp_path):
    grown = shutil.copytree(run, tmp_path / "grown")
    config = json.loads((grown / "config.json").read_text())
    (grown / "config.json").write_text(json.dumps(config | {"seeds": 7}))
    assert told(grown).mark == told(run).mark
    assert told(grown).about["infaug.seeds"] == "7"


def test_of_a_run_that_goes_on_the_cell_that_is_trained_has_no_result(run, tmp_path):
    going = told(unfinished_run(tmp_path / "going", run))
    assert going.mark == told(run).mark
    assert "infaug.verdict" not in going.about
    assert [cell.name for cell in going.cells if cell.found is None] == [
        "pooled_learned-seed1"
    ]


def test_a_run_that_has_not_begun_is_told_to_wait_for(tmp_path):
    run = finished_run(tmp_path / "run")
    (run / "result.json").unlink()
    with pytest.raises(ValueError, match="has not begun to train"):
        told(run)

"""The long-tail table: which cells are one, and what is said of them."""

from dataclasses import replace

import pytest
from tiny import CONFIG

from infaug.config import GitConfig, NuisanceConfig, TailConfig
from infaug.experiment.grid_run import Site
from infaug.experiment.tail_run import run_tail_training
from infaug.experiment.tail_table import by_thirds, classes_table, points, tail_table
from infaug.experiment.tail_training import METHODS, recorded, tail_training

GIT = GitConfig(width=2, blocks=1, critics=1, steps=2, batch_size=4, threshold=20)
DATA = replace(
    CONFIG.data,
    labels=None,
    target=60,
    tail=TailConfig(kind="exponential", ratio=8),
    nuisance=NuisanceConfig(kind="rotation"),
)
TINY = replace(CONFIG, data=replace(DATA, shift=type(DATA.shift)()))
RECORD = {
    "sizes": [10, 1000, 100],
    "test_by_class": [30.0, 90.0, 60.0],
    "test_balanced": 60.0,
    "ekld": [3.0, 1.0, 2.0],
    "seconds": 50.0,
    "git_seconds": 10.0,
}


def cell(method, git=GIT, config=TINY):
    return tail_training(METHODS[method], 0, config, git)


@pytest.mark.parametrize("method", list(METHODS))
def test_a_line_is_read_as_the_cell_it_is_about(method):
    record = cell(method).identity
    assert recorded(record) == cell(method)
    del record["config"]["data"]["influence_share"]  # as if it had come later
    assert recorded(record) == cell(method)
    record["config"]["flux"] = 1  # as if it had gone since
    assert recorded(record) is None


def test_methods_are_different_cells_and_git_matters_only_to_git():
    assert len({cell(method) for method in METHODS}) == len(METHODS)
    other = replace(GIT, threshold=9)
    assert cell("plain") == cell("plain", other)
    assert cell("git") != cell("git", other)


def test_a_cell_goes_through_all_and_a_second_time_finds_its_generator(tmp_path):
    site = Site(work=tmp_path)
    first = run_tail_training(cell("git"), site, shown=False)
    again = run_tail_training(cell("git"), replace_work(site, tmp_path), shown=False)
    assert first["git_seconds"] > 0
    assert again["git_seconds"] == 0
    times = ("seconds", "git_seconds")
    assert {k: v for k, v in first.items() if k not in times} == {
        k: v for k, v in again.items() if k not in times
    }
    assert max(first["sizes"]) == pytest.approx(8 * min(first["sizes"]), rel=0.1)
    assert all(value > 0 for value in first["ekld"])


def replace_work(site, path):
    """The same place, but for the cell's own folder: it is trained again."""
    for folder in path.glob("git-seed*"):
        folder.rename(path / f"done-{folder.name}")
    return site


def test_thirds_are_of_the_classes_in_order_of_size():
    assert by_thirds([RECORD], "ekld") == [1, 2, 3]
    assert by_thirds([RECORD, RECORD | {"ekld": [5, 1, 2]}], "ekld") == [1, 2, 4]
    assert points([RECORD], "ekld") == [(10, 3), (1000, 1), (100, 2)]


def test_the_tables_say_what_was_found_and_what_was_not_run():
    found = {"plain": [RECORD], "git": []}
    lines = tail_table(found).splitlines()
    expected = "| plain | 60.0 | 90.0 | 60.0 | 30.0 | 1.000 | 2.000 | 3.000 | 60 | 1 |"
    assert lines[2] == expected
    assert lines[3].startswith("| git | not run |")
    assert lines[3].count("|") == lines[2].count("|")
    assert classes_table(found, "ekld").splitlines()[0] == "| ekld | 1000 | 100 | 10 |"
    assert classes_table(found, "ekld").splitlines()[2] == "| plain | 1 | 2 | 3 |"

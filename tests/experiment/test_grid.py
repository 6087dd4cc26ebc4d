"""Tables cell by cell: which cells are one, and what an interruption leaves."""

import json
import runpy
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import CONFIG

from infaug.config import (
    EstimatorConfig,
    NuisanceConfig,
    RunConfig,
    TailConfig,
    TuningConfig,
)
from infaug.data.dataset import Labelled
from infaug.data.source import Source
from infaug.experiment.grid import Column, Table, grid_training, work_of
from infaug.experiment.grid_run import Site, check_shared, run_grid_training
from infaug.experiment.results import Results
from infaug.record.display import Display
from infaug.training.methods import METHODS, POLICIES

JOB = Path(__file__).parents[2] / "ray_jobs" / "tables.py"
markdown = runpy.run_path(str(JOB))["markdown"]
TINY = replace(CONFIG, tuning=TuningConfig(candidates=("affine:20", "affine:60")))
MORE = replace(TINY, data=replace(TINY.data, target=100))
ROWS_SHOWN = ("base", "base_learned", "base_random_initial", "base_random_final")
TABLE = Table(
    name="digits",
    title="Digits",
    columns=(Column(title="N = 60", config=TINY), Column(title="N = 100", config=MORE)),
    methods=ROWS_SHOWN,
)


def key(row: str, config: RunConfig = TINY) -> str:
    return grid_training(row, 0, config).key


def with_data(**changes) -> RunConfig:
    return replace(TINY, data=replace(TINY.data, **changes))


@pytest.mark.parametrize("row", list(METHODS))
def test_rows_that_do_not_look_at_target_images_are_shared_by_budgets_and_no_others(
    row,
):
    is_shared = key(row) == key(row, MORE)
    uniform = ("uniform_policy", "uniform_alone")
    assert is_shared == (row in ("none", "base", "oracle", *uniform, *POLICIES))


def test_nothing_is_shared_where_labels_are_what_the_target_leaves():
    small, large = (with_data(labels=0.1, target=n) for n in (60, 100))
    assert key("base", small) != key("base", large)


@pytest.mark.parametrize(
    "changed",
    [
        with_data(labels=70),
        with_data(seed=1),
        with_data(shift=replace(TINY.data.shift, rotate_deg=30)),
        replace(TINY, rounds=replace(TINY.rounds, classifier_steps=7)),
        replace(TINY, classifier=replace(TINY.classifier, learning_rate=1e-3)),
    ],
)
@pytest.mark.parametrize("row", list(METHODS))
def test_a_changed_config_is_another_cell(row, changed):
    assert key(row) != key(row, changed)


def test_a_tail_or_a_nuisance_is_another_training():
    for changed in (
        with_data(tail=TailConfig(kind="zipf")),
        with_data(nuisance=NuisanceConfig(kind="rotation")),
    ):
        cell = grid_training("base", 0, changed)
        assert cell.key != key("base")
        assert cell.config.data == replace(
            changed.data,
            target=cell.config.data.target,
            influence_share=cell.config.data.influence_share,
        )


def test_what_a_row_does_not_use_does_not_make_it_another_cell():
    other = replace(TINY, estimator=EstimatorConfig(batch_size=8, tau_noise=0.1))
    assert key("base") == key("base", other)
    assert key("base_learned") != key("base_learned", other)
    tuned = replace(TINY, tuning=TuningConfig(fraction=0.5))
    assert key("base_learned") == key("base_learned", tuned)
    assert key("base_tuned") != key("base_tuned", tuned)


def test_more_views_and_lambda_make_other_cells_of_the_rows_that_use_them():
    def with_classifier(**changes) -> RunConfig:
        return replace(TINY, classifier=replace(TINY.classifier, **changes))

    views, heat = with_classifier(views=4), with_classifier(mmel_lambda=0.5)
    assert key("base") != key("base", views)
    assert key("base") == key("base", heat)
    assert key("mmel_hard") != key("mmel_hard", heat)
    assert grid_training("mmel_hard", 0, heat).config.classifier.mmel_lambda == 0.5


def test_what_a_cell_needs_comes_before_it_even_if_it_was_not_named():
    works = work_of([TABLE], ["base_random_final"], 1)
    assert [work.training.method for work in works] == [
        "base_learned",
        "base_random_final",
    ] * 2
    assert all(w.training.needs in (None, works[2 * (i // 2)].training)
               for i, w in enumerate(works))  # fmt: skip


def test_a_shared_cell_is_run_once_and_stands_for_every_budget():
    shared = [w for w in work_of([TABLE], None, 2) if w.training.method == "base"]
    assert [w.training.seed for w in shared] == [0, 1]
    assert {data.target for data in shared[0].stands_for} == {60, 100}


def test_a_training_is_not_shared_between_other_training_images():
    labels = torch.tensor([0] * 95 + [1] * 5)
    images = torch.zeros(100, 1, 8, 8, dtype=torch.uint8)
    skewed = Labelled(images, labels, ("common", "rare"))
    few, many = (replace(TINY.data, labels=58, target=n) for n in (4, 40))
    source = Source(skewed, test=skewed, bad=())
    check_shared(source, [few, replace(few, target=5)], 0)
    # The many are to have three of the five rare images, and the labels three too.
    with pytest.raises(ValueError, match=r"exhaust a class.*lower one"):
        check_shared(source, [few, many], 0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The whole table with one seed, in a file."""
    root = tmp_path_factory.mktemp("grid")
    run_missing(root)
    return root


def run_missing(root: Path) -> list[tuple[str, str]]:
    """Run what the file lacks, as the job does; the rows and keys that were run."""
    results = Results(root / "results.jsonl")
    missing = [w for w in work_of([TABLE], None, 1) if w.training not in results]
    done = []
    for work in missing:
        record = run_grid_training(work, Site(work=root), shown=False)
        results.add(record)
        done.append((record["row"], record["key"]))
    return done


def lines(root: Path) -> list[dict]:
    """The file without clock times."""
    text = (root / "results.jsonl").read_text()
    unequal = {"seconds": None, "images": None}  # work done twice counts twice
    return [{**json.loads(line), **unequal} for line in text.splitlines()]


def test_a_finished_cell_is_a_line_with_every_setting_that_matters(finished):
    found = lines(finished)
    assert len(found) == 7  # base once, three rows for each of two budgets
    learned = next(line for line in found if line["row"] == "base_learned")
    assert learned["config"]["data"]["target"] == 60
    assert "target" not in found[0]["config"]["data"]
    assert 0 <= learned["test_top1"] <= 100
    assert run_missing(finished) == [], "a second start runs nothing"


def test_killed_anywhere_it_continues_and_ends_with_the_same_lines(
    finished, tmp_path, monkeypatch
):
    live = Display.step

    def interrupt_at(row: str, phase: str, at: int):
        def step(self, cell, labels, round_, name, steps, number, metrics):
            live(self, cell, labels, round_, name, steps, number, metrics)
            if (labels["row"], name, number) == (row, phase, at):
                raise KeyboardInterrupt

        monkeypatch.setattr(Display, "step", step)
        with pytest.raises(KeyboardInterrupt):
            run_missing(tmp_path)
        with (tmp_path / "results.jsonl").open("a") as file:
            file.write('{"row": "base_lea')  # a line that a kill cut short

    interrupt_at("base_learned", "estimate", 3)
    interrupt_at("base_random_final", "classify", 4)
    monkeypatch.setattr(Display, "step", live)
    run_missing(tmp_path)
    assert lines(tmp_path) == lines(finished)


def test_a_training_is_not_continued_on_other_images_than_it_began_with(tmp_path):
    (work,) = work_of([replace(TABLE, methods=("none",))], None, 1)
    site = Site(work=tmp_path)
    found = run_grid_training(work, site, shown=False)
    (folder,) = tmp_path.iterdir()
    kept = json.loads((folder / "data.json").read_text())

    def began_with(checksum: str) -> None:
        changed = json.dumps(kept | {"train checksum": checksum})
        (folder / "data.json").write_text(changed)

    began_with("other")
    with pytest.raises(ValueError, match="comparison on other images: bring them back"):
        run_grid_training(work, site, shown=False)
    began_with(kept["train checksum"])
    assert run_grid_training(work, site, shown=False) == found

    # In which nothing is trained.
    shutil.rmtree(folder / "trainings")
    began_with("other")
    assert run_grid_training(work, site, shown=False)["test_top1"] == found["test_top1"]
    assert json.loads((folder / "data.json").read_text()) == kept


def test_the_line_of_a_tuned_base_says_what_it_chose_from(tmp_path):
    (work,) = work_of([replace(TABLE, methods=("base_tuned",))], None, 1)[:1]
    record = run_grid_training(work, Site(work=tmp_path), shown=False)
    assert set(record["candidates"]) == {"affine:20", "affine:60"}
    assert record["base"] in record["candidates"]
    assert record["tuning_seconds"] < record["seconds"]


def results_of(path: Path, tops: dict[str, list[float]]) -> Results:
    """A file in which the N = 60 column has these accuracies."""
    results = Results(path)
    for row, values in tops.items():
        for seed, value in enumerate(values):
            cell = grid_training(row, seed, TINY)
            results.add({
                "row": row, "seed": seed, "config": cell.settings,
                "test_top1": value, "selection_top1": value, "base": "affine:60",
            })  # fmt: skip
    return Results(path)


def test_a_table_says_mean_spread_verdict_gap_and_what_was_not_run(tmp_path):
    table = replace(TABLE, methods=(*ROWS_SHOWN, "base_tuned", "oracle"))
    results = results_of(
        tmp_path / "r.jsonl",
        {
            "base": [70.0, 71.0, 72.0],
            "base_tuned": [80.0, 81.0, 82.5],
            "base_learned": [88.0, 89.0, 90.0],
            "base_random_initial": [75.0, 76.0],
            "oracle": [90.0, 91.0, 92.0],
        },
    )
    text = markdown(table, results, 3)
    assert "| `base_learned` | 89.0 ± 1.0 | not run |" in text
    assert "through the initial G | 75.5 ± 0.7 (2 of 3 seeds) | not run |" in text
    assert "| `base_random` | not run | not run |" in text
    assert "N = 60: gain: base_learned is +7.83 points against its closest" in text
    assert "controls not run: `none`, `base_random`" in text
    assert "base_learned 90 %" in text
    assert "base_tuned chose `affine:60`, `affine:60`, `affine:60`" in text
    assert "--tables digits --seeds 3 --methods base_learned base_ran" in text

"""Ablations, regrets and long tails: what they are made of and what is said of them."""

from dataclasses import replace

import pytest
import torch
from tiny import CONFIG

from infaug.config import (
    DataConfig,
    GitConfig,
    NuisanceConfig,
    RoundsConfig,
    TailConfig,
)
from infaug.data.problem import divide
from infaug.data.source import load
from infaug.experiment.grid import grid_training
from infaug.experiment.grid_run import Site
from infaug.experiment.regret import Problem, regrets_of, solve, table, worth_table
from infaug.experiment.results import Results
from infaug.experiment.tail_run import run_tail_training
from infaug.experiment.tail_table import by_thirds, classes_table, points, tail_table
from infaug.experiment.tail_training import METHODS, recorded, tail_training
from infaug.experiment.variants import Variant, develop, run_variant, variants_table
from infaug.record.folder import RunFolder

DEFAULT = Variant(name="default", changes={})

MILD = Variant(name="mild", changes={"estimator.probability": 0.5})


@pytest.fixture(scope="module")
def source():
    return load(CONFIG.data)


def as_set(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def test_a_variant_changes_the_settings_it_names_and_so_its_key():
    changed, same = MILD.training(CONFIG, 0), DEFAULT.training(CONFIG, 0)
    assert changed.config.estimator.probability == 0.5
    assert same == grid_training(DEFAULT.method, 0, CONFIG)
    assert changed.key != same.key


def test_development_images_are_in_no_split_of_a_run(source):
    plain = DataConfig(source="digits", labels=60, target=60)
    splits, given = develop(source, plain, 1), divide(source, plain, 1)
    held = as_set(splits.test.images)
    assert len(held) > 500
    for split in (given.train, given.influence, given.selection, given.test):
        assert not held & as_set(split.images)


def test_labels_that_leave_no_image_over_are_refused(source):
    with pytest.raises(ValueError, match=r"data\.labels"):
        develop(source, DataConfig(source="digits", target=60), 0)


def test_a_finished_variant_is_in_the_table_and_others_are_not_run(source, tmp_path):
    results = Results(tmp_path / "ablation.jsonl")
    cell = DEFAULT.training(CONFIG, 0)
    record = run_variant(cell, source, RunFolder(tmp_path / "work"), shown=False)
    assert 0 <= record["development_top1"] <= 100
    results.add(record)
    text = variants_table((DEFAULT, MILD), CONFIG, 1, Results(results.path))
    assert f"| default | {record['development_top1']:.1f} |" in text
    assert "| mild | not run | |" in text


def test_differences_are_paired_by_seed(tmp_path):
    results = Results(tmp_path / "ablation.jsonl")
    for variant, tops in ((DEFAULT, (90.0, 80.0)), (MILD, (92.0, 82.0))):
        for seed, top in enumerate(tops):
            cell = variant.training(CONFIG, seed)
            about = {"row": cell.method, "seed": seed, "config": cell.settings}
            results.add({**about, "development_top1": top})
    text = variants_table((DEFAULT, MILD), CONFIG, 2, results)
    assert "| mild | 87.0 ± 7.1 | +2.0 (+2.0 to +2.0) |" in text


PROBLEM = Problem(
    name="digits",
    shift="inverted, moved",
    labels=60,
    target=30,
    rounds=RoundsConfig(rounds=2, classifier_steps=4, estimator_steps=2),
)

OF_THEM = ("base", "pooled")


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    work = tmp_path_factory.mktemp("regret")
    return work, solve(PROBLEM, 0, OF_THEM, work, {}, jobs=1, shown=False)


def test_every_method_is_scored_on_the_rest_and_so_is_the_answer(solved):
    _, found = solved
    assert set(found["accuracy"]) == set(OF_THEM)
    assert set(found["answer"].split(" + ")) <= set(OF_THEM)
    answered, unlearned = found["answers"].values()
    assert answered == unlearned, "no method here has a learned view"
    worst, best = sorted(found["accuracy"].values())
    assert worst - 5 <= answered <= best + 5
    assert found["low"] <= found["estimate"] <= found["high"]


def test_source_target_and_rest_share_no_image_and_classes_are_even(solved):
    work, _ = solved
    (home,) = work.iterdir()
    source, target, rest = (
        load(DataConfig(source=str(home / f"{part}.parquet"))).train
        for part in ("source", "target", "rest")
    )
    assert (len(source), len(target)) == (PROBLEM.labels, PROBLEM.target)
    assert len(source) + len(target) + len(rest) == 1797
    assert target.labels.bincount().tolist() == [3] * 10
    seen = {image.numpy().tobytes() for image in target.images}
    assert not seen & {image.numpy().tobytes() for image in rest.images}


def test_a_finished_problem_trains_nothing_again(solved):
    work, found = solved
    weights = sorted(work.rglob("classifier.safetensors"))
    before = [path.stat().st_mtime_ns for path in weights]
    assert solve(PROBLEM, 0, OF_THEM, work, {}, jobs=1, shown=False) == found
    assert weights
    assert [path.stat().st_mtime_ns for path in weights] == before


def test_the_table_names_each_problem_and_orders_methods_by_regret(solved):
    _, found = solved
    text = table([found])
    assert f"({found['answer']}) |" in text
    regrets = regrets_of([found])
    assert min(min(regrets[name]) for name in OF_THEM) == 0
    best = max(found["accuracy"].values())
    assert regrets["the answer"] == [best - found["answers"]["the answer"]]


def test_without_the_answer_the_same_models_are_trained_on_all_images(solved, tmp_path):
    _, found = solved
    bare = solve(PROBLEM, 0, OF_THEM, tmp_path, {}, jobs=1, answers=False, shown=False)
    assert bare["accuracy"] == found["accuracy"]
    assert "answer" not in bare
    kept = sorted(path.parent.name for path in tmp_path.rglob("result.json"))
    assert kept == ["base-final", "pooled-final"]


def test_a_learned_method_is_held_against_the_control_that_is_best_there():
    scores = [{"a": 90.0, "b": 80.0, "c": 85.0}, {"a": 92.0, "b": 95.0, "c": 88.0}]
    records = [{"problem": "p", "seed": k, "accuracy": s} for k, s in enumerate(scores)]
    assert "| p | 91.0 | 87.5 (b) | +3.5 (" in worth_table(records, "a", ("b", "c"))


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

"""The regret problems: what they are made of, and that a stopped one goes on."""

import pytest

from infaug.config import DataConfig, RoundsConfig
from infaug.data.source import load
from infaug.experiment.regret import Problem, regrets_of, solve, table, worth_table

PROBLEM = Problem(
    name="digits",
    shift="inverted, moved",
    labels=60,
    target=30,
    rounds=RoundsConfig(rounds=2, classifier_steps=4, estimator_steps=2),
)
METHODS = ("base", "pooled")


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    work = tmp_path_factory.mktemp("regret")
    return work, solve(PROBLEM, 0, METHODS, work, {}, jobs=1, shown=False)


def test_every_method_is_scored_on_the_rest_and_the_answer_is_one_of_them(solved):
    _, found = solved
    assert set(found["accuracy"]) == set(METHODS)
    assert found["answer"] in METHODS
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
    assert solve(PROBLEM, 0, METHODS, work, {}, jobs=1, shown=False) == found
    assert weights
    assert [path.stat().st_mtime_ns for path in weights] == before


def test_the_table_names_each_problem_and_orders_methods_by_regret(solved):
    _, found = solved
    text = table([found])
    assert f"({found['answer']}) |" in text
    regrets = regrets_of([found])
    assert min(min(values) for name, values in regrets.items()) == 0
    assert regrets["the answer"] == regrets[found["answer"]]


def test_without_the_answer_the_same_models_are_trained_on_all_images(solved, tmp_path):
    _, found = solved
    bare = solve(PROBLEM, 0, METHODS, tmp_path, {}, jobs=1, answers=False, shown=False)
    assert bare["accuracy"] == found["accuracy"]
    assert "answer" not in bare
    kept = sorted(path.parent.name for path in tmp_path.rglob("result.json"))
    assert kept == ["base-final", "pooled-final"]


def test_a_learned_method_is_held_against_the_control_that_is_best_there():
    scores = [{"a": 90.0, "b": 80.0, "c": 85.0}, {"a": 92.0, "b": 95.0, "c": 88.0}]
    records = [{"problem": "p", "seed": k, "accuracy": s} for k, s in enumerate(scores)]
    assert "| p | 91.0 | 87.5 (b) | +3.5 (" in worth_table(records, "a", ("b", "c"))

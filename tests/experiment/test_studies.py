"""Ablations, regrets and long tails: what they are made of and what is said of them."""

from dataclasses import replace

import pytest
from ablation import Variant, develop, run_variant
from ablation import table as ablation_table
from git_networks import GitConfig
from long_tail import by_thirds, tail_table
from reading import as_set
from regret import main, regret_table, regrets_of, table, worth_table
from regret_problems import Problem, solve
from tail_methods import METHODS, recorded_tail, run_tail_training, tail_training
from tiny import CONFIG

from infaug.config import DataConfig, NuisanceConfig, RoundsConfig, TailConfig, changed
from infaug.data.problem import divide
from infaug.data.source import load
from infaug.experiment.table_plan import Results, table_training

DEFAULT = Variant(name="default", changes={})
MILD = Variant(name="mild", changes={"estimator.probability": 0.5})


def test_development_images_are_in_no_split_and_there_must_be_some():
    source = load(CONFIG.data)
    plain = DataConfig(source="digits", labels=60, target=60)
    splits, given = develop(source, plain, 1), divide(source, plain, 1)
    held = as_set(splits.test.images)
    assert len(held) > 500
    for split in (given.train, given.influence, given.selection, given.test):
        assert not held & as_set(split.images)
    with pytest.raises(ValueError, match=r"data\.labels"):
        develop(source, DataConfig(source="digits", target=60), 0)


def test_a_finished_variant_is_in_the_table_and_others_are_not_run(tmp_path):
    results = Results(tmp_path / "ablation.jsonl")
    training = table_training(DEFAULT.method, 0, CONFIG)
    record = run_variant(training, tmp_path / "work", shown=False)
    assert not any(name.startswith("test_") for name in record)
    results.add(record)
    text = ablation_table((DEFAULT, MILD), CONFIG, 1, Results(results.path))
    assert f"| default | {record['development_top1']:.1f} |" in text
    assert "| mild | not run | |" in text


def test_differences_are_paired_by_seed(tmp_path):
    results = Results(tmp_path / "ablation.jsonl")
    for variant, tops in ((DEFAULT, (90.0, 80.0)), (MILD, (92.0, 82.0))):
        for seed, top in enumerate(tops):
            settings = changed(CONFIG, variant.changes)
            training = table_training(variant.method, seed, settings)
            about = {
                "method": training.method,
                "seed": seed,
                "config": training.settings,
            }
            results.add({**about, "development_top1": top})
    text = ablation_table((DEFAULT, MILD), CONFIG, 2, results)
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
    answered, unlearned, *averaged = found["answers"].values()
    assert len(averaged) == 2
    assert answered == unlearned, "no method here has a learned view"
    worst, best = sorted(found["accuracy"].values())
    assert all(worst - 5 <= each <= best + 5 for each in (answered, *averaged))
    assert found["low"] <= found["estimate"] <= found["high"]
    assert f"({found['answer']}) |" in table([found])
    regrets = regrets_of([found])
    assert min(min(regrets[name]) for name in OF_THEM) == 0
    assert regrets["the answer"] == [best - answered]


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
    assert not as_set(target.images) & as_set(rest.images)


def test_a_finished_problem_trains_nothing_again(solved):
    work, found = solved
    weights = sorted(work.rglob("classifier.safetensors"))
    before = [path.stat().st_mtime_ns for path in weights]
    assert solve(PROBLEM, 0, OF_THEM, work, {}, jobs=1, shown=False) == found
    assert [path.stat().st_mtime_ns for path in weights] == before != []


def test_without_the_answer_the_same_models_are_trained_on_all_images(solved, tmp_path):
    _, found = solved
    bare = solve(PROBLEM, 0, OF_THEM, tmp_path, {}, jobs=1, answers=False, shown=False)
    assert bare["accuracy"] == found["accuracy"]
    assert "answer" not in bare
    kept = sorted(path.parent.name for path in tmp_path.rglob("result.json"))
    assert kept == ["base-final", "pooled-final"]


def test_regret_stands_apart_by_data_target_images_and_seed():
    records = [
        {"problem": f"p, {target}", "seed": 0, "accuracy": {"a": 90.0, "b": 90.0 + gap}}
        for target, gap in ((30, 4.0), (100, 1.0))
    ]
    lines = regret_table(records).splitlines()
    assert "| p 30, seed 0: mean (worst) | p 100, seed 0: mean (worst) |" in lines[0]
    assert lines[-1].startswith("| a | 4.00 (4.0) | 1.00 (1.0) | 2.50 |")


def test_a_problem_of_unknown_images_is_refused(monkeypatch, tmp_path):
    given = ["regret.py", "--out", str(tmp_path), "--data", "svhn=there"]
    monkeypatch.setattr("sys.argv", given)
    with pytest.raises(ValueError, match="--data svhn: give some of digits, mnist="):
        main()


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


def training(method, git=GIT):
    return tail_training(METHODS[method], 0, TINY, git)


def test_methods_are_different_trainings_and_git_matters_only_to_git():
    assert len({training(method) for method in METHODS}) == len(METHODS)
    other = replace(GIT, threshold=9)
    assert training("plain") == training("plain", other)
    assert training("git") != training("git", other)


def test_a_training_goes_through_all_and_a_second_time_finds_its_generator(tmp_path):
    first = run_tail_training(training("git"), tmp_path, {}, shown=False)
    for folder in tmp_path.glob("git-seed*"):
        folder.rename(tmp_path / f"done-{folder.name}")
    again = run_tail_training(training("git"), tmp_path, {}, shown=False)
    assert first["git_seconds"] > 0
    assert again["git_seconds"] == 0
    times = {"seconds": None, "git_seconds": None}
    assert first | times == again | times
    assert max(first["sizes"]) == pytest.approx(8 * min(first["sizes"]), rel=0.1)
    assert all(value > 0 for value in first["ekld"])
    # The line is read as the training it is about.
    assert recorded_tail(first) == training("git")
    del first["config"]["data"]["influence_share"]  # as if it had come later
    assert recorded_tail(first) == training("git")
    first["config"]["flux"] = 1  # as if it had gone since
    assert recorded_tail(first) is None


def test_the_tables_say_what_was_found_by_thirds_of_classes_in_order_of_size():
    assert by_thirds([RECORD, RECORD | {"ekld": [5, 1, 2]}], "ekld") == [1, 2, 4]
    found = {"plain": [RECORD], "git": []}
    lines = tail_table(found).splitlines()
    expected = "| plain | 60.0 | 90.0 | 60.0 | 30.0 | 1.000 | 2.000 | 3.000 | 60 | 1 |"
    assert lines[2] == expected
    assert lines[3].startswith("| git | not run |")
    assert lines[3].count("|") == lines[2].count("|")

"""Plans of tables: which trainings are one, and what an interruption leaves."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from killed import interrupted_at
from tables import Table, markdown
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
from infaug.experiment.table_plan import (
    Column,
    Results,
    TableTraining,
    plan_table,
    ready,
    table_training,
)
from infaug.experiment.table_training import check_shared, run_table_training
from infaug.training.methods import METHODS, POLICIES

TINY = replace(CONFIG, tuning=TuningConfig(candidates=("affine:20", "affine:60")))
MORE = replace(TINY, data=replace(TINY.data, target=100))
SHOWN = ("base", "base_learned", "base_random_initial", "base_random_final")
TABLE = Table(
    name="digits",
    title="Digits",
    columns=(Column(title="N = 60", config=TINY), Column(title="N = 100", config=MORE)),
    methods=SHOWN,
)


def plan(*methods: str, seeds: int = 1) -> list[TableTraining]:
    """The trainings of both problems."""
    return plan_table([(c, m) for c in (TINY, MORE) for m in methods or SHOWN], seeds)


def key(method: str, config: RunConfig = TINY) -> str:
    return table_training(method, 0, config).key


def with_data(**changes) -> RunConfig:
    return replace(TINY, data=replace(TINY.data, **changes))


def test_methods_that_do_not_look_at_target_images_are_shared_by_budgets_alone():
    shared = {method for method in METHODS if key(method) == key(method, MORE)}
    uniform = {"uniform_policy", "uniform_alone"}
    assert shared == {"none", "base", "oracle", *uniform, *POLICIES}
    # But not where labels are what the target leaves.
    small, large = (with_data(labels=0.1, target=n) for n in (60, 100))
    assert key("base", small) != key("base", large)


@pytest.mark.parametrize(
    "changed",
    [
        with_data(labels=70),
        with_data(seed=1),
        with_data(shift=replace(TINY.data.shift, rotate_deg=30)),
        with_data(tail=TailConfig(kind="zipf")),
        with_data(nuisance=NuisanceConfig(kind="rotation")),
        replace(TINY, rounds=replace(TINY.rounds, classifier_steps=7)),
        replace(TINY, classifier=replace(TINY.classifier, learning_rate=1e-3)),
    ],
)
def test_a_changed_config_is_another_training_of_every_method(changed):
    assert [m for m in METHODS if key(m) == key(m, changed)] == []


@pytest.mark.parametrize(
    ("changes", "unlike", "like"),
    [
        ({"estimator": EstimatorConfig(batch_size=16)}, "base_learned", "base"),
        ({"tuning": TuningConfig(fraction=0.5)}, "base_tuned", "base_learned"),
        ({"classifier": replace(TINY.classifier, views=4)}, "base", None),
        (
            {"classifier": replace(TINY.classifier, mmel_lambda=0.5)},
            "mmel_hard",
            "base",
        ),
    ],
)
def test_what_a_method_does_not_use_does_not_make_it_another(changes, unlike, like):
    other = replace(TINY, **changes)
    assert key(unlike) != key(unlike, other)
    assert like is None or key(like) == key(like, other)


def test_what_a_training_needs_comes_before_it_and_is_waited_for():
    final = plan("base_random_final")
    assert [training.method for training in final] == [
        "base_learned",
        "base_random_final",
    ] * 2
    assert all(t.needs in (None, final[2 * (i // 2)]) for i, t in enumerate(final))
    assert ready(final, []) == final[::2]
    assert ready(final[1:], final[:1]) == [final[2]]


def test_a_shared_training_is_done_once_and_stands_for_every_budget():
    shared = [t for t in plan(seeds=2) if t.method == "base"]
    assert [training.seed for training in shared] == [0, 1]
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
    """Run what the file lacks; the methods and keys that were run."""
    results = Results(root / "results.jsonl")
    done = []
    for training in [each for each in plan() if each not in results]:
        record = run_table_training(training, root, {}, shown=False)
        results.add(record)
        done.append((record["method"], record["key"]))
    return done


def lines(root: Path) -> list[dict]:
    """The file without clock times."""
    text = (root / "results.jsonl").read_text()
    unequal = {"seconds": None, "images": None}  # work done twice counts twice
    return [{**json.loads(line), **unequal} for line in text.splitlines()]


def test_a_finished_training_is_a_line_with_every_setting_that_matters(finished):
    found = lines(finished)
    assert len(found) == 7  # base once, three rows for each of two budgets
    learned = next(line for line in found if line["method"] == "base_learned")
    assert learned["config"]["data"]["target"] == 60
    assert "target" not in found[0]["config"]["data"]
    assert 0 <= learned["test_top1"] <= 100
    assert run_missing(finished) == [], "a second start runs nothing"


def test_killed_anywhere_it_continues_and_ends_with_the_same_lines(finished, tmp_path):
    for method, phase, step in (
        ("base_learned", "estimate", 3),
        ("base_random_final", "classify", 4),
    ):
        with interrupted_at(method, 0, phase, step):
            run_missing(tmp_path)
        with (tmp_path / "results.jsonl").open("a") as file:
            file.write('{"method": "base_lea')  # a line that a kill cut short
    run_missing(tmp_path)
    assert lines(tmp_path) == lines(finished)


def test_a_training_is_not_continued_on_other_images_than_it_began_with(tmp_path):
    (training,) = plan("none")
    found = run_table_training(training, tmp_path, {}, shown=False)
    (folder,) = tmp_path.iterdir()
    kept = json.loads((folder / "data.json").read_text())

    def began_with(checksum: str) -> None:
        changed = json.dumps(kept | {"train checksum": checksum})
        (folder / "data.json").write_text(changed)

    began_with("other")
    with pytest.raises(ValueError, match="comparison on other images: bring them back"):
        run_table_training(training, tmp_path, {}, shown=False)
    began_with(kept["train checksum"])
    assert run_table_training(training, tmp_path, {}, shown=False) == found

    # In which nothing is trained.
    shutil.rmtree(folder / "trainings")
    began_with("other")
    assert (
        run_table_training(training, tmp_path, {}, shown=False)["test_top1"]
        == found["test_top1"]
    )
    assert json.loads((folder / "data.json").read_text()) == kept


def test_a_table_says_mean_spread_verdict_gap_and_what_was_not_run(tmp_path):
    results = Results(tmp_path / "r.jsonl")
    tops = {
        "base": [70.0, 71.0, 72.0],
        "base_tuned": [80.0, 81.0, 82.5],
        "base_learned": [88.0, 89.0, 90.0],
        "base_random_initial": [75.0, 76.0],
        "oracle": [90.0, 91.0, 92.0],
    }
    for method, values in tops.items():
        for seed, value in enumerate(values):
            results.add({
                "method": method, "seed": seed, "base": "affine:60", "test_top1": value,
                "config": table_training(method, seed, TINY).settings,
            })  # fmt: skip
    table = replace(TABLE, methods=(*SHOWN, "base_tuned", "oracle"))
    text = markdown(table, results, 3)
    assert "| `base_learned` | 89.0 ± 1.0 | not run |" in text
    assert "through the initial G | 75.5 ± 0.7 (2 of 3 seeds) | not run |" in text
    assert "| `base_random` | not run | not run |" in text
    assert "N = 60: gain: base_learned is +7.83 points against its closest" in text
    assert "controls not run: `none`, `base_random`" in text
    assert "base_learned 90 %" in text
    assert "base_tuned chose `affine:60`, `affine:60`, `affine:60`" in text
    assert "--tables digits --seeds 3 --methods base_learned base_ran" in text

"""The jobs run as a user starts them."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from imagenet_recipes import RECIPES, in_recipe
from PIL import Image
from torchvision.transforms.functional import to_pil_image

from infaug.augment.base import build_base, build_mixer
from infaug.config import RunConfig
from infaug.data.download import write_parquet
from infaug.experiment.sweep.changes import apply, check_space
from infaug.experiment.sweep.ladder import parse_problem

pytestmark = pytest.mark.long

JOBS = Path(__file__).parent.parent / "ray_jobs"


def test_the_digits_job_smokes_as_a_user_starts_it(tmp_path):
    command = [sys.executable, str(JOBS / "digits.py"), "--smoke"]
    command += ["--out", str(tmp_path / "run"), "--controls", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "pooled_learned" in result_of(done.stdout)["methods"]
    assert (tmp_path / "run" / "views-base_learned.png").exists()


def result_of(printed: str) -> dict:
    """What the last line says."""
    return json.loads(printed.strip().splitlines()[-1].removeprefix("RESULT "))


@pytest.mark.parametrize("job", ["digits", "imagenet", "sweep"])
def test_a_python_without_the_package_is_named_in_one_line(job):
    """A job's `python` is that of the PATH which its head was started with."""
    environment = {"PYTHONPATH": str(JOBS.parent), "RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}
    done = subprocess.run(
        [sys.executable, "-S", str(JOBS / f"{job}.py"), "--smoke"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(f"{sys.executable} has no infaug installed")


class Coloured:
    """Noise of one of ten classes, 32 px colour, in place of CIFAR-10."""

    def __init__(self, split: str):
        self.first = {"train": 0, "test": 120}[split]

    def __len__(self) -> int:
        return 120

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        noise = torch.rand(
            3, 32, 32, generator=torch.Generator().manual_seed(self.first + index)
        )
        return to_pil_image(noise), index % 10


@pytest.fixture
def start(monkeypatch, capsys, undrawn):
    """Run a job as a script, but in this process; what it printed."""

    def start(job: str, *arguments: str):
        monkeypatch.setattr(sys, "argv", [job, *arguments])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(JOBS / job), run_name="__main__")
        printed = capsys.readouterr()
        assert ended.value.code == 0, printed.err
        return printed

    return start


@pytest.fixture(scope="module")
def coloured(tmp_path_factory) -> Path:
    """Parquet of CIFAR-10's kind."""
    folder = tmp_path_factory.mktemp("coloured")
    classes = tuple(str(label) for label in range(10))
    for split in ("train", "test"):
        write_parquet(Coloured(split), folder / f"{split}.parquet", classes)
    return folder


@pytest.mark.parametrize(
    ("job", "methods"),
    [
        ("cifar10.py", {"none", "base", "base_random", "base_learned"}),
        ("cifar100.py", {"none", "base", "base_random", "base_learned"}),
        ("mnist.py", {"base_learned", "pooled_learned"}),
    ],
)
def test_jobs_run_on_parquet_of_their_kind(job, methods, coloured, tmp_path, start):
    printed = start(
        *(job, "--smoke", "--data", str(coloured), "--labels", "50", "--target", "40"),
        *("--network", "allconv", "--data.influence-share", "0.5", "--jobs", "1"),
        *("--classifier.batch-size", "8", "--estimator.batch-size", "8"),
        *("--out", str(tmp_path / "run")),
        *(("--controls", "none") if job == "mnist.py" else ()),
    )
    assert set(result_of(printed.out)["methods"]) == methods


@pytest.mark.parametrize(
    ("job", "steps"), [("cifar10.py", 8_000), ("cifar100.py", 64_000)]
)
def test_the_cifar_jobs_have_the_papers_settings(job, steps):
    config = runpy.run_path(str(JOBS / job))["CONFIG"]
    data, rounds = config.data, config.rounds
    assert data.influence_share * data.target == pytest.approx(5000)
    assert rounds.rounds * rounds.classifier_steps == steps
    assert config.classifier.batch_size == 128
    assert config.classifier.network == "resnet56"


def test_the_tables_job_smokes_and_prints_what_is_there(tmp_path, start):
    out, work = str(tmp_path / "results.jsonl"), str(tmp_path / "work")
    command = ["tables.py", "--smoke", "--out", out, "--work", work]
    command += ["--tables", "rotate", "--data", "digits", "--methods", "base"]
    printed = start(*command)
    assert "0 done, 1 to do" in printed.err
    assert "| `oracle` | not run |" in printed.out
    assert "| `base` | not run |" not in printed.out


def test_the_ablation_job_smokes_and_prints_what_it_ran(tmp_path, start):
    command = ["ablation.py", "--smoke", "--only", "base"]
    where = ["--out", str(tmp_path / "a.jsonl"), "--work", str(tmp_path / "work")]
    printed = start(*command, *where)
    again = start(*command, *where, "--render")
    assert printed.out == again.out
    assert [line.split("|")[1].strip() for line in again.out.splitlines()[2:]] == [
        "default",
        "base",
    ]


def test_the_long_tail_job_smokes_and_draws_what_it_ran(tmp_path, start):
    out, figure = tmp_path / "tail.jsonl", tmp_path / "tail.png"
    command = ["long_tail.py", "--smoke", "--out", str(out), "--figure", str(figure)]
    command += ["--work", str(tmp_path / "work")]
    start(*command, "--methods", "infaug_drs")
    assert figure.exists()
    again = start(*command, "--render")
    assert "| git | not run |" in again.out
    assert "| infaug_drs | not run |" not in again.out


def test_the_imagenet_job_has_the_papers_settings_and_the_linear_rule():
    config = runpy.run_path(str(JOBS / "imagenet.py"))["CONFIG"]
    data, settings, rounds = config.data, config.classifier, config.rounds
    assert data.influence_share * data.target == pytest.approx(50_000)
    assert settings.learning_rate == pytest.approx(1.6)
    assert [round(270 * share) for share in settings.milestones] == [90, 180, 240]
    images = 1_281_167 - data.target
    epochs = rounds.rounds * rounds.classifier_steps * settings.batch_size / images
    assert epochs == pytest.approx(270, rel=0.01)
    assert config.mode == "cvpr"


def test_the_compare_job_smokes_on_one_problem_and_says_what_is_not_run(
    tmp_path, start
):
    command = ["compare.py", "--smoke", "--data", "mnist=digits"]
    command += ["--problems", "mnist_rotated", "cifar10", "--methods", "mixup"]
    printed = start(*command, "--out", str(tmp_path / "board"))
    assert "0 done, 1 to do" in printed.err
    assert printed.out.count("| `mixup` | not run |") == 1, "CIFAR-10 is not at hand"
    assert "python ray_jobs/compare.py" in printed.out
    assert (tmp_path / "board" / "smoke" / "leaderboard.parquet").exists()


@pytest.mark.parametrize("name", ["digits", "mnist", "cifar10", "imagenet"])
def test_the_spaces_of_the_sweep_job_can_be_searched(name):
    problem = runpy.run_path(str(JOBS / "sweep.py"))["PROBLEMS"][name]
    check_space(problem.space, problem.config)
    for text in problem.ladder:
        check_space(problem.space, apply(problem.config, parse_problem(text)))


def test_the_imagenet_sweep_is_planned_in_gpu_hours(start):
    lines = start("sweep.py", "imagenet", "--plan").out.splitlines()
    assert sum("GPU-hours each" in line for line in lines) == 3, "kinds of machines"
    (own, *_) = [line.split() for line in lines if "the sweep's own" in line]
    trials, each, taken, hours = (float(word.rstrip("%")) for word in own[:4])
    assert hours == pytest.approx(trials * each * taken / 100, rel=0.02)
    assert sum("data.image_size=64" in line for line in lines) == 3


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains_its_epochs_and_damps_as_much_as_it_decays(name):
    images = 1_226_167
    config = in_recipe(RunConfig(), name, images)
    settings, rounds = config.classifier, config.rounds
    epochs = {"cvpr": 270, "a3": 100, "vit_small": 90}[name]
    steps = rounds.rounds * rounds.classifier_steps
    assert steps * settings.batch_size / images == pytest.approx(epochs, rel=0.01)
    assert config.influence.damping >= settings.weight_decay
    if name != "cvpr":
        build_base(rounds.base)
        assert build_mixer(rounds.base) is not None
    with pytest.raises(ValueError, match=r"no recipe 'a4'.*cvpr, a3, vit_small"):
        in_recipe(config, "a4", images)


def test_the_imagenet_forecast_names_what_is_waited_for():
    job = runpy.run_path(str(JOBS / "imagenet.py"))
    config, forecast, machines = job["CONFIG"], job["forecast"], job["MACHINES"]
    fast, spot, slow = (forecast(config, *each) for each in machines.values())
    assert slow["compute"] / fast["compute"] == pytest.approx(8 * 2600 / 700)
    assert fast["communication"] == slow["communication"] == 0 < spot["communication"]
    starved = forecast(config, 8, 2600.0, 200.0, 1, 0.0)
    assert starved["input"] > starved["compute"]

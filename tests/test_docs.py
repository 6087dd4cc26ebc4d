"""The shell and Python blocks of README and docs do what their pages say.

Commands are made short, placeholders are given something to stand for, and each page's
blocks run in order in a folder of their own. What cannot be run here is listed with its
reason, so that a new command is either run or excused in words.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from distributed.streamed import write_digits

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.ray,
    pytest.mark.timeout(900),
]

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]

# First words of commands that are not run.
NOT_RUN = {
    "make": "is what runs this test",
    "source": "the environment is there",
    "pip": "installs, which needs a network",
    "pre-commit": "installs hooks into a clone",
    "python -m venv": "installs, which needs a network",
    "python benchmarks/": "takes minutes of a quiet machine",
    "tensorboard": "serves until it is stopped",
    "aws": "needs a cloud",
    "ray": "needs a cluster; tests/distributed submits jobs to one",
    "RAY_AUTH_MODE=token ray": "needs a cluster",
    "infaug data prepare SRC": "needs a cloud after it; tests/data prepares",
    "infaug data prepare pacs": "needs a network; tests/data divides a copy",
    "infaug fit --data pacs/": "needs an extra; tests/classify trains such networks",
    "infaug predict runs/photos": "follows it",
    "infaug fit --data s3://": "needs a cloud; tests/test_s3.py has a server",
    "python ray_jobs/imagenet.py --data FOLDER --workers": "takes days of GPUs",
    "python ray_jobs/mnist.py": "tests/distributed/test_jobs_api.py submits it",
    "python ray_jobs/imagenet.py --smoke": "tests/distributed/test_jobs_api.py does",
    "python ray_jobs/cifar": "tests/test_jobs.py runs them with few steps",
    "python ray_jobs/ablation.py": "takes hours; tests/test_jobs.py runs a smoke test",
    "python ray_jobs/compare.py --data": "takes hours; tests/test_jobs.py runs one",
    "python ray_jobs/long_tail.py --data": "takes an hour; tests/test_jobs.py runs one",
    "python ray_jobs/regret.py": "takes hours; tests/experiment/test_studies.py does",
    "python ray_jobs/photos.py": "needs PACS and an extra",
    "python ray_jobs/sweep.py": "takes minutes of Ray; tests/test_jobs.py runs one",
    "infaug report s3://": "needs a cloud",
    "infaug report RUN --mlflow": "needs a server; tests/report/test_mlflow.py sends",
    "infaug fit --mlflow": "needs an extra; tests/report/test_mlflow.py sends",
    "infaug sweep": "takes minutes of Ray; tests/distributed/test_sweep.py runs one",
    "infaug fit --config runs/sweep": "follows a sweep",
}

# Enough for every phase; in place of what a command asks for.
FEW_STEPS = {
    "--rounds.rounds": "2",
    "--rounds.classifier-steps": "8",
    "--rounds.estimator-steps": "4",
    "--rounds.refresh-lag": "4",
    "--labels": "100",
    "--target": "60",
    "--seeds": "1",
    "--controls": "none",
    "--adversarial.steps": "2",
}

SMALL_IMAGES = {"--data.image-size": "64"}

# A job is run once with the same flags, whatever their values and the page.
JOBS_DONE: set[tuple[str, ...]] = set()


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """What the placeholders stand for: a set, a run, and the files that pages name."""
    folder = tmp_path_factory.mktemp("docs")
    for name in ("docs", "cluster", "ray_jobs"):
        shutil.copytree(ROOT / name, folder / name)
    write_digits(folder / "set", 900)
    small = " ".join(f"{flag} {value}" for flag, value in FEW_STEPS.items())
    fit = f"infaug fit --data set {small} --methods base base_learned --out run"
    for command in (fit, "infaug export run --out exported-run"):
        run(shlex.split(command), folder)
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_blocks_of_a_page_run(page, place, tmp_path):
    blocks = blocks_of((ROOT / page).read_text())
    if not any(language == "python" or commands(text) for language, text in blocks):
        pytest.skip("this page has nothing to run")
    shutil.copytree(place, tmp_path, dirs_exist_ok=True)
    program = ""
    for language, text in blocks:
        if language == "python":
            program += placed(text)
            run(["python", "-c", program], tmp_path)
        elif not language:
            for command in commands(text):
                kind = flags_of(command)
                if kind not in JOBS_DONE:
                    run(short(shlex.split(placed(command))), tmp_path)
                if command.startswith("python ray_jobs/"):
                    JOBS_DONE.add(kind)


@pytest.mark.parametrize("prefix", NOT_RUN)
def test_an_excuse_is_of_a_command_that_there_is(prefix):
    pages = "\n".join((ROOT / page).read_text() for page in [*PAGES, "CONTRIBUTING.md"])
    assert re.search(rf"(?m)(^|&& ){re.escape(prefix)}", pages), "delete the excuse"


def blocks_of(text: str) -> list[tuple[str, str]]:
    """(language, text) of every fenced block."""
    return re.findall(r"(?ms)^```(\w*)\n(.*?)^```", text)


def commands(text: str) -> list[str]:
    """The commands of a block that are run here; none of a block that shows output."""
    lines = text.replace("\\\n", " ").splitlines()
    parts = [part for line in lines for part in line.split("&&")]
    requested = [re.sub(r"\s+#.*", "", part).strip() for part in parts]
    known = ("infaug ", "python ray_jobs/")
    return [
        command
        for command in requested
        if command.startswith(known) and not command.startswith(tuple(NOT_RUN))
    ]


def flags_of(command: str) -> tuple[str, ...]:
    """The program and its flags, without their values."""
    words = command.split()
    return (*words[:2], *sorted(word for word in words[2:] if word.startswith("--")))


def placed(text: str) -> str:
    """With something for every placeholder."""
    places = {
        "FOLDER": "set", "PATH": "set", "MNIST": "set", "RUN": "run",
        "DIR": "exported-run",
        "IMAGES": "docs/figures", "/SHARED": "shared",
        "PATH2": "80", "RUN_A": "run", "RUN_B": "run",
    }  # fmt: skip
    for name, place in places.items():
        text = re.sub(rf"(?<![\w/]){name}\b", place, text)
    return text


def run(words: list[str], folder: Path) -> None:
    """Run a command in a folder; it must succeed."""
    if words[0] == "infaug":
        words = ["python", "-m", "infaug", *words[1:]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words[1:]],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = f"{shlex.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    assert done.returncode == 0, said


def short(words: list[str]) -> list[str]:
    """A command that trains, with few steps in place of those it asks for."""
    script = Path(words[1]).name
    if script in ("tables.py", "compare.py", "long_tail.py"):
        smoke = [] if "--render" in words else ["--smoke"]
        return [*words, *smoke]
    jobs = ("mnist.py", "digits.py", "imagenet.py")
    trains = words[:2] == ["infaug", "fit"] or script in jobs
    if not trains:
        return words
    changes = FEW_STEPS | SMALL_IMAGES if script == "imagenet.py" else FEW_STEPS
    kept, skip = [], False
    for word in words:
        if not skip and word not in changes:
            kept.append(word)
        skip = word in changes
    return [*kept, *(word for pair in changes.items() for word in pair)]

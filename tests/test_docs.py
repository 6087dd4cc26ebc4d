"""The shell and Python blocks of README and docs do what their pages say.

Commands are made short, placeholders are given something to stand for, and each page's
blocks run in order in a folder of their own. What cannot be run here is listed with its
reason, so that a new command is either run or excused in words.
"""

import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from distributed.streamed import write_digits

from infaug.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(900)]

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
    "infaug fit --data s3://": "needs a cloud; tests/test_s3.py has a server",
    "python ray_jobs/imagenet.py --data FOLDER --workers": "takes days of GPUs",
    "python ray_jobs/imagenet.py --smoke": "tests/test_jobs.py runs it",
    "python ray_jobs/cifar": "tests/test_jobs.py runs them with few steps",
    "python ray_jobs/ablation.py": "takes hours; tests/test_jobs.py runs a smoke test",
    "python ray_jobs/compare.py --data": "takes hours; tests/test_jobs.py runs one",
    "python ray_jobs/long_tail.py --data": "takes an hour; tests/test_jobs.py runs one",
    "python ray_jobs/sweep.py": "takes minutes of Ray; tests/test_jobs.py runs one",
    "infaug sweep": "takes minutes of Ray; tests/distributed/test_sweep.py runs one",
    "infaug fit --config runs/sweep": "follows a sweep",
}

# Enough for every phase; in place of what a command asks for.
FEW_STEPS = {
    "--rounds.rounds": "2",
    "--rounds.classifier-steps": "8",
    "--rounds.estimator-steps": "4",
    "--labels": "100",
    "--target": "60",
    "--seeds": "1",
    "--controls": "none",
    "--adversarial.steps": "2",
}


@pytest.mark.parametrize("page", PAGES)
def test_blocks_of_a_page_run(page, tmp_path, monkeypatch, capsys):
    blocks = blocks_of((ROOT / page).read_text())
    if not any(language == "python" or commands(text) for language, text in blocks):
        pytest.skip("this page has nothing to run")
    settle_in(tmp_path)
    monkeypatch.chdir(tmp_path)
    names = {}
    for language, text in blocks:
        if language == "python":
            exec(compile(placed(text), page, "exec"), names)
        else:
            for command in commands(text):
                assert run(command, monkeypatch) == 0, (
                    f"{command}\n{capsys.readouterr().err}"
                )


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
    asked = [re.sub(r"\s+#.*", "", part).strip() for part in parts]
    known = ("infaug ", "python ray_jobs/")
    return [
        command
        for command in asked
        if command.startswith(known) and not command.startswith(tuple(NOT_RUN))
    ]


def settle_in(folder: Path) -> None:
    """What the placeholders stand for: a set, a run, and the files that pages name."""
    for name in ("docs", "cluster", "ray_jobs"):
        shutil.copytree(ROOT / name, folder / name)
    write_digits(folder / "set", 240)
    small = " ".join(f"{flag} {value}" for flag, value in FEW_STEPS.items())
    fit = f"fit --data digits {small} --rows base base_learned --out run --quiet"
    assert main(shlex.split(fit)) == 0
    assert main(shlex.split("export run --out exported-run")) == 0


def placed(text: str) -> str:
    """With something for every placeholder."""
    places = {
        "FOLDER": "set", "PATH": "set", "RUN": "run", "DIR": "exported-run",
        "IMAGES": "docs/figures", "/SHARED": "shared",
    }  # fmt: skip
    for name, place in places.items():
        text = re.sub(rf"(?<![\w/]){name}\b", place, text)
    return text


def run(command: str, monkeypatch) -> int:
    """Exit code of a command, made short."""
    words = shlex.split(placed(command))
    if words[0] == "infaug":
        return main(shortened(words[1:]) if words[1] == "fit" else words[1:])
    script = words[1]
    is_table = "tables.py" in script and "--render" not in words
    arguments = words[2:] if script.endswith("toy2d.py") else shortened(words[2:])
    if "tables.py" in script:
        arguments = [*words[2:], *(["--smoke"] if is_table else [])]
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def shortened(words: list[str]) -> list[str]:
    """With few steps in place of those asked for."""
    kept, skip = [], False
    for word in words:
        if not skip and word not in FEW_STEPS:
            kept.append(word)
        skip = word in FEW_STEPS
    few = [word for pair in FEW_STEPS.items() for word in pair]
    return [*kept, *few]

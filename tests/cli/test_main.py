import subprocess
import sys
from importlib.metadata import version

import pytest
from cli.asking import refused

from infaug.cli.main import COMMANDS, load, main
from infaug.cli.terminal import BAD_INPUT


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infaug", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_mistake_in_a_real_process_exits_with_two_and_one_line(tmp_path):
    done = process("fit", "--data", "/no/such/place", "--out", str(tmp_path / "r"))
    assert done.returncode == BAD_INPUT
    assert done.stderr.count("\n") == 1


def test_help_of_no_command_loads_anything_heavy():
    done = process("--help")
    assert done.returncode == 0
    assert "fit" in done.stdout
    program = (
        "import sys\n"
        "from infaug.cli.main import main; from infaug.cli.main import COMMANDS\n"
        "for name in ['', *COMMANDS]:\n"
        "    try: main([*name.split(), '--help'])\n"
        "    except SystemExit: pass\n"
        "assert not {'torch', 'ray', 'pyarrow', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [(["fitt"], "did you mean fit?"), (["previw", "x"], "did you mean preview?"),
     (["data", "prepair"], "did you mean data prepare?"),
     (["influence"], "infaug influence validate or infaug influence rank"),
     (["frobnicate"], "infaug --help lists all")],
)  # fmt: skip
def test_an_unknown_command_is_answered_with_the_nearest(typed, meant, capsys):
    assert meant in refused(typed, capsys)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches_what_it_asks_for(name, capsys):
    form, _, act = load(name)
    assert callable(act)
    with pytest.raises(SystemExit) as stop:
        main([*name.split(), "--help"])
    assert stop.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"usage: infaug {name}" in said
    assert (form.__doc__ or "").split(".")[0].split()[-1] in said


def test_the_version_is_that_of_the_package(capsys):
    assert main(["--version"]) == 0
    name, _, number = capsys.readouterr().out.strip().partition(" ")
    assert name == "infaug"
    assert number == version("infaug")


def test_a_reader_that_has_enough_of_the_output_is_no_fault():
    command = f"{sys.executable} -m infaug fit --help | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: infaug fit")
    assert done.stderr == ""


def test_help_of_fit_is_short_and_help_all_is_whole(capsys):
    texts = []
    for flag in ("--help", "--help-all"):
        with pytest.raises(SystemExit):
            main(["fit", flag])
        texts.append(capsys.readouterr().out)
    short, whole = texts
    assert len(short.splitlines()) < 70
    assert "--network" in short
    assert "--influence.damping" not in short
    assert "--influence.damping" in whole
    assert "--help-all" in short


def test_a_folder_of_another_version_is_answered_with_what_to_do(tmp_path, capsys):
    (tmp_path / "config.json").write_text('{"rows_of_old": 3}')
    assert main(["influence", "rank", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "another version of infaug" in said
    assert "train again with a new --out" in said
    assert len(said.splitlines()) == 1

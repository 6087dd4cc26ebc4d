"""The shell completes commands, flags and choices."""

import shutil
import subprocess

import pytest

from infaug.cli.main import COMMANDS, main

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")


@pytest.fixture(scope="module")
def script() -> str:
    from infaug.cli.completion import script

    return script()


def completed(script: str, line: str) -> list[str]:
    """What bash offers where a line ends."""
    words = line.split(" ")
    program = (
        f"{script}\nCOMP_WORDS=({' '.join(words[:-1])} '{words[-1]}')\n"
        f"COMP_CWORD={len(words) - 1}\n_infaug\nprintf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(
        ["bash", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_commands_are_completed_word_by_word(script):
    assert set(completed(script, "infaug ")) >= {n.split()[0] for n in COMMANDS}
    assert completed(script, "infaug influence v") == ["validate"]
    assert completed(script, "infaug ex") == ["export"]


def test_flags_and_their_choices_are_completed(script):
    assert "--data.image-size" in completed(script, "infaug fit --data.im")
    assert "--network" in completed(script, "infaug fit --netw")
    assert completed(script, "infaug fit --mode ic") == ["iclr"]
    assert "--max-bad-images" in completed(script, "infaug data prepare --max-b")
    assert completed(script, "infaug completion z") == []


def test_anything_else_is_a_file(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    assert completed(script, "infaug predict pict") == ["pictures"]


def test_zsh_is_told_to_understand_it(capsys):
    assert main(["completion", "zsh"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("autoload")
    assert "bashcompinit" in said

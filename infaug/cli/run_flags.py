"""Flags of commands that take all settings of a run: short names, files, modes."""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, get_args

from infaug.cli.flags import read_flags
from infaug.config import NETWORK_VARIABLE, Mode, RunConfig, from_dict, in_mode

# Short flags for the settings people change most.
SHORT = {
    "--data": "--data.source",
    "--labels": "--data.labels",
    "--image-size": "--data.image-size",
    "--rotate": "--data.shift.rotate-deg",
    "--translate": "--data.shift.translate-px",
    "--contrast": "--data.shift.contrast",
    "--brightness": "--data.shift.brightness",
    "--network": "--classifier.network",
    "--weights": "--classifier.weights",
    "--freeze": "--classifier.freeze",
    "--refresh": "--rounds.refresh",
    "--refresh-lag": "--rounds.refresh-lag",
}


Asked = TypeVar("Asked")


def parse_run(
    kind: type[Asked],
    argv: Sequence[str],
    default: Any,
    prog: str,
    *,
    short: Mapping[str, str] = SHORT,
    needed: str = "--data.source",
) -> Asked:
    """A command with a field `run`, from its flags.

    `--config FILE` and `--mode` set what the other flags are parsed against.

    Args:
        kind: the command's dataclass.
        argv: its flags.
        default: what they change; None: the class's own, and data must be named.
        prog: how the command is called.
        short: flags in other words.
        needed: the flag that names data, in full.

    Raises:
        ValueError: without data, with an unknown flag, or a file that is no config.
    """
    argv = [_lengthen(word, short) for word in _tell_targets(argv)]
    named = {word.partition("=")[0] for word in argv}
    if default is None and not named & {needed, "--config", "-h", "--help"}:
        raise ValueError(
            "--data is required: a folder of class folders, Parquet, a CSV of paths "
            "and labels, or `digits`, the bundled handwritten digits"
        )
    begun: Any = default or kind()
    # File and mode give the defaults that flags are parsed against, so they come first.
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--mode", choices=get_args(Mode))
    parser.add_argument("--classifier.network", dest="network", default="")
    first = parser.parse_known_args(argv)[0]
    if first.network.startswith("py:"):
        os.environ[NETWORK_VARIABLE] = first.network
    if first.config is not None:
        begun = replace(begun, run=_read_config(first.config))
    if first.mode is not None:
        begun = replace(begun, run=in_mode(begun.run, first.mode))
    return read_flags(kind, argv, prog, default=begun, also=[*short, "--target"])


def _lengthen(word: str, short: Mapping[str, str]) -> str:
    flag, equals, value = word.partition("=")
    return short.get(flag, flag) + equals + value


def _tell_targets(argv: Sequence[str]) -> list[str]:
    """`--target` with the whole name of its setting: a number counts, a path names.

    >>> _tell_targets(["--target", "200"]), _tell_targets(["--target=new/"])
    (['--data.target', '200'], ['--data.target-source=new/'])
    """
    told = list(argv)
    for at, word in enumerate(argv):
        flag, equals, value = word.partition("=")
        if flag == "--target":
            value = value if equals else "".join(argv[at + 1 : at + 2])
            named = "--data.target" if _is_number(value) else "--data.target-source"
            told[at] = named + word[len(flag) :]
    return told


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_config(path: Path) -> RunConfig:
    try:
        return from_dict(RunConfig, json.loads(path.read_text()))
    except (OSError, json.JSONDecodeError, TypeError, AttributeError) as error:
        raise ValueError(f"--config {path} is no config of infaug: {error}") from error

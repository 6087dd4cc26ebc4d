"""A command line read into a form: unknown flags, short names, files, presets, paths.

Of a flag that does not exist the nearest is named. Paths that lead nowhere are refused
before torch is loaded, which takes seconds.
"""

import argparse
import json
import os
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from difflib import get_close_matches
from inspect import cleandoc
from pathlib import Path
from textwrap import fill, indent
from typing import Any, TypeVar, get_args

import tyro

from infaug.config import NETWORK_VARIABLE, Mode, RunConfig, from_dict, in_mode

Form = TypeVar("Form")


def read_flags(
    form: type[Form],
    argv: Sequence[str],
    prog: str,
    *,
    default: Form | None = None,
    also: Iterable[str] = (),
) -> Form:
    """Fill in a form.

    Args:
        form: a dataclass.
        argv: the command line.
        prog: how the command is called.
        default: what the flags change; None: the form's own defaults.
        also: flags that were put into other words before.

    Raises:
        ValueError: for a flag or a word that the form does not ask for.
    """
    argv = [re.sub(r"^--row(?==|$)", "--method", word) for word in argv]
    begun: Any = {} if default is None else {"default": default}
    found, unknown = tyro.cli(
        form, args=argv, prog=prog, return_unknown_args=True, **begun
    )
    flags = [word.partition("=")[0] for word in unknown if word.startswith("-")]
    if flags:
        known = [*also, *helps_by_flag(form)]
        raise ValueError(f"{_missing(flags[0], known)} ({prog} --help)")
    if unknown:
        raise ValueError(f"{unknown[0]!r} is one word too many ({prog} --help)")
    _refuse_urls(found, prog)
    return found


def _refuse_urls(form: Any, prog: str) -> None:
    """A path that was typed as a URL would become a folder called `s3:`."""
    for field in fields(form):
        value = getattr(form, field.name)
        for path in value if isinstance(value, tuple) else (value,):
            if isinstance(path, Path) and re.match(r"[a-z][a-z0-9]+:/", str(path)):
                raise ValueError(
                    f"{path} is no path on this machine, and {prog} takes no URL for "
                    f"{field.name}: name a folder here, and copy what is in it"
                )


def helps_by_flag(form: type) -> dict[str, str]:
    """Every flag of a form, and what it does."""
    with warnings.catch_warnings():
        # There is no other way yet to ask tyro for the flags of a form.
        warnings.simplefilter("ignore", DeprecationWarning)
        actions = tyro.extras.get_parser(form)._actions
    return {
        flag: action.help or "" for action in actions for flag in action.option_strings
    }


def short_help(form: type, few: Mapping[str, str], prog: str) -> str:
    """What a command does and the flags that most people need, each explained.

    `few`: flags as they are typed, and the names they have in `form`.
    """
    helps = helps_by_flag(form)
    lines = [f"usage: {prog} [FLAGS]", "", cleandoc(form.__doc__ or ""), ""]
    for flag, name in few.items():
        text = re.sub(r"\s+", " ", helps[name]).strip()
        lines += [flag, indent(fill(text, 80), "    ")]
    return "\n".join([*lines, "", f"{prog} --help-all explains all flags"])


def _missing(flag: str, known: Sequence[str]) -> str:
    """The message about a flag that does not exist.

    >>> _missing("--damping", ["--data.source", "--influence.damping"])
    'there is no --damping: did you mean --influence.damping?'
    >>> _missing("--traget", ["--data.source", "--target"])
    'there is no --traget: did you mean --target?'
    >>> _missing("--epochs", ["--data.source"])
    'there is no --epochs'
    """
    ends = [each for each in known if each.endswith(f".{flag.lstrip('-')}")]
    begins = [each for each in known if each.startswith(flag)]
    near = ends or begins or get_close_matches(flag, known, 1)
    return f"there is no {flag}" + (f": did you mean {near[0]}?" if near else "")


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
    "--preset": "--mode",
    "--color-mode": "--data.mode",
    "--num-rounds": "--rounds.rounds",
    "--rows": "--methods",
    "--estimator.restraint": "--estimator.field-penalty",  # as it was called before
}


def parse_run(
    kind: type[Form],
    argv: Sequence[str],
    default: Any,
    prog: str,
    *,
    short: Mapping[str, str] = SHORT,
    needed: str = "--data.source",
) -> Form:
    """A command with a field `run`, from its flags.

    `--config FILE` and `--preset` set what the other flags are parsed against.

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
    argv = [_lengthen(word, short) for word in _name_targets(argv)]
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


def _name_targets(argv: Sequence[str]) -> list[str]:
    """`--target` with the whole name of its setting: a number counts, a path names.

    >>> _name_targets(["--target", "200"]), _name_targets(["--target=new/"])
    (['--data.target', '200'], ['--data.target-source=new/'])
    """
    words = list(argv)
    for at, word in enumerate(argv):
        flag, equals, value = word.partition("=")
        if flag == "--target":
            value = value if equals else "".join(argv[at + 1 : at + 2])
            is_number = re.fullmatch(r"-?\d+(\.\d*)?", value)
            words[at] = f"--data.target{'' if is_number else '-source'}{word[8:]}"
    return words


def _read_config(path: Path) -> RunConfig:
    try:
        return from_dict(RunConfig, json.loads(path.read_text()))
    except (OSError, json.JSONDecodeError, TypeError, AttributeError) as error:
        raise ValueError(f"--config {path} is no config of infaug: {error}") from error


BUNDLED = "digits"


def look_for_run(*places: str) -> None:
    """Refuse a run folder that is not there; URLs pass.

    Raises:
        ValueError: for the first that is not.
    """
    _look(places, "give the --out of an `infaug fit`")


def look_for_images(paths: Iterable[Path]) -> None:
    """Refuse image files and folders that are not there.

    Raises:
        ValueError: for the first that is not.
    """
    _look(map(str, paths), "give image files or a folder of them")


def look_for_data(*sources: str | None) -> None:
    """Refuse images of a run that are not there.

    Raises:
        ValueError: for the first that is not.
    """
    _look(
        [place for place in sources if place and place != BUNDLED],
        f"give a Parquet file, a CSV, a folder, or `{BUNDLED}`, which is bundled",
    )


def _look(places: Iterable[str], remedy: str) -> None:
    for place in places:
        path = Path(place).expanduser()
        if "://" not in place and not path.exists():
            raise ValueError(
                f"{place} was not found: looked for {path.absolute()}; {remedy}"
            )

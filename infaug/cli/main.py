"""argv in, text out: the table of commands, and which one is meant.

A new command is a line in the table.
"""

import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from typing import Any

from infaug.cli.terminal import guarded

# By name: the file in `infaug.cli`, and what the command does.
COMMANDS = {
    "fit": ("fit", "learn an augmentation, compare with controls, give a verdict"),
    "compare": (
        "compare", "methods on data sets, paired by seed, as a leaderboard",
    ),
    "sweep": ("sweep", "search for settings of the learned augmentation, on Ray"),
    "influence validate": (
        "influence", "compare a run's predictions with refitting the head",
    ),
    "influence rank": (
        "influence", "a run's most helpful and harmful images and augmentations",
    ),
    "report": ("report", "draw a run's report again, or several runs side by side"),
    "export": ("export", "what a run learned, as a folder to be used without it"),
    "predict": (
        "predict", "which class each of your own images is of, by a run's classifier",
    ),
    "preview": ("export", "draw images of your own through it"),
    "doctor": ("checks", "is this machine fit for infaug, and what is to be fixed?"),
    "data prepare": (
        "data", "write class folders, a tar, or mnist, cifar10, ... as Parquet",
    ),
    "cluster check": (
        "checks", "is a cluster file sound, and does a job ever fit on it?",
    ),
}  # fmt: skip


def load(name: str) -> tuple[type, Callable[..., Any], Callable[[Any], int]]:
    """A command's form, what fills it in, and what does it; returns the exit code.

    `data prepare` is the dataclass `Prepare` and the function `prepare`; `parse_NAME`,
    where there is one, makes the form of arguments.
    """
    module, word = import_module(f"infaug.cli.{COMMANDS[name][0]}"), name.split()[-1]
    form, read = getattr(module, word.title()), getattr(module, f"parse_{word}", None)
    if read is None:
        from infaug.cli.flags import read_flags  # tyro: too slow for --version

        read = partial(read_flags, form)
    return form, read, getattr(module, word)


def split_command(argv: list[str]) -> tuple[str, list[str]]:
    """The command that a command line begins with, and its arguments.

    >>> split_command(["data", "prepare", "mnist", "out"])
    ('data prepare', ['mnist', 'out'])

    Raises:
        ValueError: if there is no such command; the nearest one is named.
    """
    for length in (2, 1):
        name = " ".join(argv[:length])
        if name in COMMANDS:
            return name, argv[length:]
    raise ValueError(f"{_unknown(argv)} (infaug --help lists all)")


def _unknown(argv: list[str]) -> str:
    within = [name for name in COMMANDS if name.startswith(f"{argv[0]} ")]
    typed = " ".join(argv[:2] if within else argv[:1])
    if within and len(argv) == 1:
        return f"{typed} is not complete: infaug {' or infaug '.join(within)}"
    # Two words count where `data prepare` was mistyped, one in `fitt --out x`.
    tried = dict.fromkeys((" ".join(argv[:2]), argv[0]))
    near = [n for word in tried for n in get_close_matches(word, COMMANDS, 1)]
    hint = f": did you mean {(within or near)[0]}?" if within or near else ""
    return f"there is no command {typed!r}{hint}"


def usage() -> str:
    """What `infaug --help` prints."""
    width = max(map(len, COMMANDS)) + 3
    lines = [f"  {name:{width}}{help_}" for name, (_, help_) in COMMANDS.items()]
    return "\n".join([_HEAD, *lines, _FOOT])


_HEAD = "usage: infaug COMMAND [--help] [--verbose] | --version\n"
_FOOT = """
infaug COMMAND --help teaches a command; --verbose shows where an error comes from, and
all warnings; --quiet and --json, where a command has them, print less, and for
machines. Exit codes: 0 done; 2 a command line, setting
or input that cannot work, explained in one line; 130 interrupted, the same command
continues; 3 done, but some images could not be read; 1 a fault of infaug itself."""


def main(argv: Sequence[str] | None = None) -> int:
    """The `infaug` command; returns the exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    kept = [word for word in argv if word != "--verbose"]
    return guarded(lambda: _dispatch(kept), verbose=len(kept) < len(argv))


def _dispatch(argv: list[str]) -> int:
    if argv == ["--version"]:
        from importlib.metadata import version  # slow, and only needed here

        print(f"infaug {version('infaug')}")
        return 0
    if argv in ([], ["--help"], ["-h"]):
        print(usage())
        return 0
    name, rest = split_command(argv)
    _, read, act = load(name)
    return act(read(rest, prog=f"infaug {name}"))

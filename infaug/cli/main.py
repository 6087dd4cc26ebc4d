"""argv in, text out: which command is meant, and what it is answered with."""

import sys
from collections.abc import Sequence

from infaug.cli.commands import COMMANDS, split_command, usage
from infaug.cli.guard import guarded


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
    _, act = COMMANDS[name].load()
    return act(COMMANDS[name].read(rest, f"infaug {name}"))

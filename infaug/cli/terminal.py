"""What a command prints, to people or with --json to machines; and what errors become.

A user's mistake is one line and an exit code; `infaug --help` and docs/commands.md list
the codes.
"""

import errno
import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BAD_INPUT = 2  # a command line, a setting or an input that cannot work
SOME_FAILED = 3  # done, but not all of what was requested
INTERRUPTED = 130  # the same command continues
UNREAD = 141  # whoever read the output had enough: as of a program that SIGPIPE ends


@dataclass(frozen=True, kw_only=True)
class Output:
    """Flags of every command that prints what it found."""

    quiet: bool = False
    """Print nothing but warnings and errors."""
    json: bool = False
    """Print one JSON object, for machines, and nothing else."""

    @property
    def is_for_people(self) -> bool:
        """Whether progress and explanations are wanted."""
        return not (self.quiet or self.json)


def show(args: Output, lines: Sequence[str], found: Mapping[str, Any]) -> None:
    """Print lines to people, or what was found to machines."""
    if args.json:
        print(json.dumps(found), flush=True)
    elif not args.quiet:
        print(*lines, sep="\n")


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def guarded(act: Callable[[], int], *, verbose: bool = False) -> int:
    """The exit code of `act`; a user's mistake is one line.

    So is a file or folder that cannot be read or written, and a full disk.

    `verbose`: also where it comes from, and the warnings of libraries.
    """
    if not verbose:
        warnings.showwarning = _show_once()
    try:
        return act()
    except ValueError as error:
        return _refused(str(error), verbose)
    except BrokenPipeError:  # whoever read the output has enough of it, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    except KeyboardInterrupt:
        print(
            "infaug: interrupted; the same command continues from what is kept",
            file=sys.stderr,
        )
        return INTERRUPTED
    except OSError as error:
        # An error of a Ray worker has neither here: its traceback says where it was.
        if error.filename is None and error.errno not in FULL:
            raise
        return _refused(_describe(error), verbose)


def _refused(why: str, verbose: bool) -> int:
    """Inside an `except`: one line, and where it comes from if requested."""
    if verbose:
        traceback.print_exc()
    print(f"infaug: {why}", file=sys.stderr)
    return BAD_INPUT


def _describe(error: OSError) -> str:
    """A file's name, what is the matter, and a way."""
    why = error.strerror or str(error)
    if error.filename is None:  # of a file that was open
        return f"a file cannot be written ({why}): make room, and rerun the command"
    return (
        f"{error.filename} cannot be read or written ({why}): fix that, or choose "
        "another place, and rerun the command"
    )


def _show_once() -> Callable[..., None]:
    """One line for the user, once; those of libraries to each other are left out."""
    shown: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *_: Any) -> None:
        if category is UserWarning and str(message) not in shown:
            shown.add(str(message))
            print(f"infaug: warning: {message}", file=sys.stderr)

    return show

"""What becomes of an error: one line for the user, and an exit code."""

import errno
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from infaug.cli.exit_codes import BAD_INPUT, INTERRUPTED, UNREAD

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def guarded(act: Callable[[], int], *, verbose: bool = False) -> int:
    """The exit code of `act`; a user's mistake is told in one line.

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
        return _refused(_said(error), verbose)


def _refused(why: str, verbose: bool) -> int:
    """Inside an `except`: one line, and where it comes from if that is asked for."""
    if verbose:
        traceback.print_exc()
    print(f"infaug: {why}", file=sys.stderr)
    return BAD_INPUT


def _said(error: OSError) -> str:
    """A file's name, what is the matter, and a way."""
    why = error.strerror or str(error)
    if error.filename is None:  # of a file that was open
        return (
            f"a file cannot be written ({why}): make room, and give the command again"
        )
    return (
        f"{error.filename} cannot be read or written ({why}): mend that, or choose "
        "another place, and give the command again"
    )


def _show_once() -> Callable[..., None]:
    """One line for the user, once; those of libraries to each other are left out."""
    told: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *_: Any) -> None:
        if category is UserWarning and str(message) not in told:
            told.add(str(message))
            print(f"infaug: warning: {message}", file=sys.stderr)

    return show

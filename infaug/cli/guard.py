"""What becomes of an error: one line for the user, and an exit code."""

import os
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from infaug.cli.exit_codes import BAD_INPUT, INTERRUPTED, UNREAD


def guarded(act: Callable[[], int], *, verbose: bool = False) -> int:
    """The exit code of `act`; a user's mistake is told in one line.

    `verbose`: also where it comes from, and the warnings of libraries.
    """
    if not verbose:
        warnings.showwarning = _show_once()
    try:
        return act()
    except ValueError as error:
        if verbose:
            traceback.print_exc()
        print(f"infaug: {error}", file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:  # whoever read the output has enough of it, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    except KeyboardInterrupt:
        print(
            "infaug: interrupted; the same command continues from what is kept",
            file=sys.stderr,
        )
        return INTERRUPTED


def _show_once() -> Callable[..., None]:
    """One line for the user, once; those of libraries to each other are left out."""
    told: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *_: Any) -> None:
        if category is UserWarning and str(message) not in told:
            told.add(str(message))
            print(f"infaug: warning: {message}", file=sys.stderr)

    return show

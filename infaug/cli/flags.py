"""A command line read into a form; of flags that are not there the nearest is told."""

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from inspect import cleandoc
from pathlib import Path
from textwrap import wrap
from typing import Any, TypeVar

import tyro

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
    begun: Any = {} if default is None else {"default": default}
    found, unknown = tyro.cli(
        form, args=argv, prog=prog, return_unknown_args=True, **begun
    )
    flags = [word.partition("=")[0] for word in unknown if word.startswith("-")]
    if flags:
        known = [*also, *choices_by_flag(form)]
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


def choices_by_flag(form: type) -> dict[str, list[str]]:
    """Every flag of a form, short ones too, with its choices; none where it is open."""
    with warnings.catch_warnings():
        # There is no other way yet to ask tyro for the flags of a form.
        warnings.simplefilter("ignore", DeprecationWarning)
        actions = tyro.extras.get_parser(form)._actions
    return {
        flag: [str(each) for each in action.choices or ()]
        for action in actions
        for flag in action.option_strings
    }


def short_help(form: type, few: Mapping[str, str], prog: str) -> str:
    """What a command does and the flags that most people need, each explained.

    `few`: flags as they are typed, and the names they have in `form`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        actions = tyro.extras.get_parser(form)._actions
    told = {flag: action.help or "" for action in actions
            for flag in action.option_strings}  # fmt: skip
    lines = [f"usage: {prog} [FLAGS]", "", cleandoc(form.__doc__ or ""), ""]
    for flag, name in few.items():
        text = re.sub(r"\s+", " ", told[name]).strip()
        lines += [f"{flag}", *wrap(text, 84, initial_indent="    ",
                                   subsequent_indent="    ")]  # fmt: skip
    return "\n".join([*lines, "", f"{prog} --help-all explains all flags"])


def _missing(flag: str, known: Sequence[str]) -> str:
    """What is said of a flag that there is not.

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

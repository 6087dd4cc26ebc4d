"""Settings: what differs from the defaults, and the command that repeats a run."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from platform import machine, python_version, system
from typing import Any

from infaug.config import RunConfig, in_mode, leaves

PACKAGES = ("infaug", "torch", "torchvision", "ray", "numpy", "pyarrow")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting by its dotted name, with its default, and who set it."""

    name: str
    value: str
    default: str
    is_requested: bool
    """Set by the command; others that differ were `auto` and resolved by infaug."""

    @property
    def differs(self) -> bool:
        """Whether it is not the default."""
        return self.value != self.default


def settings_of(requested: RunConfig, resolved: RunConfig) -> list[Setting]:
    """Every setting of an experiment."""
    defaults, wanted = dict(leaves(RunConfig())), dict(leaves(requested))
    return [
        Setting(
            name=name,
            value=_typed(value),
            default=_typed(defaults[name]),
            is_requested=wanted[name] != defaults[name],
        )
        for name, value in leaves(resolved)
    ]


def _typed(value: Any) -> str:
    """A value as one would type it; floats that are whole have no point.

    >>> _typed(300.0), _typed(0.1), _typed(("a", "b")), _typed(None)
    ('300', '0.1', 'a b', 'none')
    """
    if isinstance(value, tuple):
        return " ".join(map(_typed, value)) or "none"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e9:
        return str(int(value))
    return "none" if value is None else str(value)


def command(requested: RunConfig, out: str) -> str:
    """The `infaug fit` that trains the same again, a flag a line."""
    preset = requested.mode
    defaults = dict(leaves(in_mode(RunConfig(), preset)))
    flags = [["--data.source", requested.data.source]]
    if preset != RunConfig().mode:
        flags.append(["--preset", preset])
    for name, value in leaves(requested):
        if name not in ("mode", "data.source") and value != defaults[name]:
            flags.append(_flag(name, value))
    flags.append(["--out", out])
    return " \\\n  ".join(["infaug fit", *map(shlex.join, flags)])


def _flag(name: str, value: Any) -> list[str]:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        part, dot, last = flag.rpartition(".")
        return [f"--{part}{dot}{'' if value else 'no-'}{last}"]
    if isinstance(value, tuple):
        return [f"--{flag}", *map(_typed, value)]
    return [f"--{flag}", "None" if value is None else _typed(value)]


def versions() -> list[tuple[str, str]]:
    """What a page was drawn with."""
    found = [("Python", f"{python_version()} on {system()} {machine()}")]
    for name in PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return found


def differing(configs: Sequence[RunConfig]) -> list[tuple[str, list[str]]]:
    """Settings in which several experiments differ, with the value of each."""
    each = [dict(leaves(config)) for config in configs]
    values = {name: [_typed(leaf[name]) for leaf in each] for name in each[0]}
    return [(name, of) for name, of in values.items() if len(set(of)) > 1]

"""A run's settings: what differs from the defaults, and the command that repeats it."""

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
    is_asked: bool
    """Set by the command; the others that differ were `auto` and settled by infaug."""

    @property
    def differs(self) -> bool:
        """Whether it is not the default."""
        return self.value != self.default


def settings_of(asked: RunConfig, settled: RunConfig) -> list[Setting]:
    """Every setting of a run."""
    defaults, wanted = dict(leaves(RunConfig())), dict(leaves(asked))
    return [
        Setting(
            name=name,
            value=_said(value),
            default=_said(defaults[name]),
            is_asked=wanted[name] != defaults[name],
        )
        for name, value in leaves(settled)
    ]


def _said(value: Any) -> str:
    """A value as one would type it; floats that are whole have no point.

    >>> _said(300.0), _said(0.1), _said(("a", "b")), _said(None)
    ('300', '0.1', 'a b', 'none')
    """
    if isinstance(value, tuple):
        return " ".join(map(_said, value)) or "none"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e9:
        return str(int(value))
    return "none" if value is None else str(value)


def command(asked: RunConfig, out: str) -> str:
    """The `infaug fit` that asks for the same run, a flag a line."""
    defaults = dict(leaves(in_mode(RunConfig(), asked.mode)))
    flags = [["--data.source", asked.data.source]]
    if asked.mode != RunConfig().mode:
        flags.append(["--preset", asked.mode])
    for name, value in leaves(asked):
        if name not in ("mode", "data.source") and value != defaults[name]:
            flags.append(_flag(name, value))
    flags.append(["--out", out])
    return " \\\n  ".join(["infaug fit", *map(shlex.join, flags)])


def _flag(name: str, value: Any) -> list[str]:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        room, _, last = flag.rpartition(".")
        no = "" if value else "no-"
        return [f"--{room}.{no}{last}" if room else f"--{no}{last}"]
    if isinstance(value, tuple):
        return [f"--{flag}", *map(_said, value)]
    return [f"--{flag}", "None" if value is None else _said(value)]


def versions() -> list[tuple[str, str]]:
    """What this page was drawn with."""
    found = [("Python", f"{python_version()} on {system()} {machine()}")]
    for name in PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return found


def differing(configs: Sequence[RunConfig]) -> list[tuple[str, list[str]]]:
    """Settings in which several runs differ, with the value of each."""
    each = [dict(leaves(config)) for config in configs]
    found = []
    for name in each[0]:
        values = [_said(leaf[name]) for leaf in each]
        if len(set(values)) > 1:
            found.append((name, values))
    return found

"""Configs as dictionaries that JSON can hold, and what differs between two."""

import dataclasses
import typing
from typing import Any

from infaug.config.check import require


def to_dict(config: Any) -> dict[str, Any]:
    """A config as nested dictionaries that JSON can hold."""
    return dataclasses.asdict(config)


def from_dict(kind: type, values: Any) -> Any:
    """The config of class `kind` that `to_dict` turned into `values`.

    Raises:
        ValueError: if `values` has a field that `kind` lacks, or a value is refused.
        TypeError: if `values` is no dictionary.
    """
    if not isinstance(values, dict):
        raise TypeError(f"{kind.__name__} is read from an object, got {values!r}")
    hints = typing.get_type_hints(kind)
    known = {f.name for f in dataclasses.fields(kind)}
    for name in values:
        require(name in known, name, f"is not a setting of {kind.__name__}", name)
    read = {name: _read(hints[name], value) for name, value in values.items()}
    return kind(**read)


def _read(hint: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast("type", hint), value)
    if typing.get_origin(hint) is tuple:
        return tuple(value)
    return value


def difference(old: Any, new: Any, prefix: str = "") -> list[str]:
    """The settings in which two configs differ, as `name: old -> new`."""
    lines = []
    for f in dataclasses.fields(old):
        a, b = getattr(old, f.name), getattr(new, f.name)
        if dataclasses.is_dataclass(a):
            lines += difference(a, b, f"{prefix}{f.name}.")
        elif a != b:
            lines.append(f"{prefix}{f.name}: {a!r} -> {b!r}")
    return lines

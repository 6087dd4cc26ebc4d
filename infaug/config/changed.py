"""A config with some of its settings changed, each named by its path."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

from infaug.config.check import require
from infaug.config.run import RunConfig


def changed(config: RunConfig, changes: Mapping[str, Any]) -> RunConfig:
    """`config` with other values of the settings called `part.field`.

    Raises:
        ValueError: if there is no such setting, or its value is refused.
    """
    for path, value in changes.items():
        value_at(config, path)
        part, _, field = path.partition(".")
        hint = typing.get_type_hints(type(getattr(config, part)))[field]
        require(_fits(hint, value), path, f"must be {_said(hint)}", value)
        new = dataclasses.replace(getattr(config, part), **{field: value})
        config = dataclasses.replace(config, **{part: new})
    return config


def value_at(config: RunConfig, path: str) -> Any:
    """The value of the setting called `part.field`.

    >>> value_at(RunConfig(), "influence.damping")
    0.01

    Raises:
        ValueError: if there is no such setting.
    """
    part, _, field = path.partition(".")
    known = {f.name for f in dataclasses.fields(config)}
    settings = getattr(config, part) if part in known else None
    is_part = dataclasses.is_dataclass(settings)
    fields = {f.name for f in dataclasses.fields(settings)} if is_part else set()
    require(field in fields, path, "is no setting: give it as part.field", path)
    return getattr(settings, field)


def _fits(hint: Any, value: Any) -> bool:
    """Whether a value has the type of a setting; dataclasses themselves do not ask."""
    kind, parts = typing.get_origin(hint), typing.get_args(hint)
    if kind is typing.Literal:
        return value in parts
    if kind in (typing.Union, types.UnionType):
        return any(_fits(part, value) for part in parts)
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, int | float if hint is float else kind or hint)


def _said(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return f"one of {', '.join(map(str, typing.get_args(hint)))}"
    return f"of type {getattr(hint, '__name__', hint)}"

"""Keyword arguments as a config of a run."""

import dataclasses
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from infaug.config import RunConfig, in_mode


def config_of(settings: Mapping[str, Any]) -> RunConfig:
    """A config with some settings changed.

    A key is a field of `RunConfig`, with the value it holds or a dictionary of some of
    its fields; or the dotted name of any field, as on the command line.

    Raises:
        ValueError: for a name that is not a setting, or a value that is refused.

    >>> config_of({"seeds": 1, "rounds": {"rounds": 4}, "data.labels": 60}).data.labels
    60
    """
    config = RunConfig()
    if "mode" in settings:
        config = in_mode(config, settings["mode"])
    for name, value in settings.items():
        config = _changed(config, name.split("."), value, name)
    return config


def _changed(config: Any, path: list[str], value: Any, name: str) -> Any:
    known = [field.name for field in dataclasses.fields(config)]
    first, *rest = path
    if first not in known:
        close = get_close_matches(first, known, 1)
        meant = f"did you mean {close[0]!r}?" if close else f"there are {known}"
        raise ValueError(
            f"{name!r} is not a setting: {type(config).__name__} has no {first!r}; "
            f"{meant}"
        )
    part = getattr(config, first)
    if rest:
        if not dataclasses.is_dataclass(part):
            raise ValueError(f"{name!r} is not a setting: {first!r} has no parts")
        value = _changed(part, rest, value, name)
    elif isinstance(value, Mapping) and dataclasses.is_dataclass(part):
        for inner, each in value.items():
            part = _changed(part, inner.split("."), each, f"{name}.{inner}")
        value = part
    elif dataclasses.is_dataclass(part) and type(value) is not type(part):
        raise ValueError(
            f"{name} must be a {type(part).__name__} or a dictionary of its fields, "
            f"got {value!r}"
        )
    elif isinstance(value, list):
        value = tuple(value)
    return dataclasses.replace(config, **{first: value})

"""Settings by name: refused, read, written, compared, and set.

A setting is named by its path in the tree of configs, as in `influence.damping`.
"""

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

Config = TypeVar("Config")


def require(holds: bool, name: str, rule: str, value: object) -> None:
    """Raise a ValueError that names the setting, its rule and its value."""
    if not holds:
        raise ValueError(f"{name} {rule}, got {value!r}")


def within(config: Any, part: str, **ranges: str) -> None:
    """Refuse settings outside of their ranges, such as `>= 1`, `> 0` or `[0, 1)`.

    None is in any range; of a tuple, all values must be.
    """
    for name, text in ranges.items():
        value = getattr(config, name)
        values = value if isinstance(value, tuple) else (value,)
        holds = all(_lies_in(each, text) for each in values if each is not None)
        rule = f"must {'be' if text.startswith('>') else 'lie in'} {text}"
        require(holds, f"{part}.{name}".lstrip("."), rule, value)


def _lies_in(value: float, text: str) -> bool:
    """Whether a value lies in a range.

    >>> _lies_in(1, ">= 1"), _lies_in(0, "> 0"), _lies_in(1.0, "[0, 1)")
    (True, False, False)
    """
    if text.startswith(">"):
        sign, bound = text.split()
        return value > float(bound) or (sign == ">=" and value == float(bound))
    low, high = map(float, text[1:-1].split(","))
    above = low < value or (text[0] == "[" and value == low)
    return above and (value < high or (text[-1] == "]" and value == high))


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
    return kind(**{name: _read(hints[name], value) for name, value in values.items()})


def _read(hint: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast("type", hint), value)
    return tuple(value) if typing.get_origin(hint) is tuple else value


def leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting's path and value."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", value


def difference(old: Any, new: Any) -> list[str]:
    """The settings in which two configs differ, as `name: old -> new`."""
    pairs = zip(leaves(old), leaves(new), strict=True)
    return [f"{name}: {a!r} -> {b!r}" for (name, a), (_, b) in pairs if a != b]


def value_at(config: Any, path: str) -> Any:
    """The value of a setting, or a part of the config.

    >>> from infaug.config import RunConfig
    >>> value_at(RunConfig(), "influence.damping")
    0.01

    Raises:
        ValueError: if there is no such setting.
    """
    value = config
    for name in path.split("."):
        is_part = dataclasses.is_dataclass(value)
        known = [f.name for f in dataclasses.fields(value)] if is_part else []
        if name not in known:
            near = [p for p, _ in leaves(config) if p.endswith(f".{name}")]
            near = near or get_close_matches(name, known, 1)
            meant = f"did you mean {near[0]!r}?" if near else f"there are {known}"
            raise ValueError(f"{path!r} is not a setting: {meant}")
        value = getattr(value, name)
    return value


def changed(config: Config, changes: Mapping[str, Any]) -> Config:
    """`config` with other values of some settings, each named by its path.

    The value of a part may be a dictionary of some of its settings.

    Raises:
        ValueError: if there is no such setting, or its value is refused.
    """
    for path, value in changes.items():
        part = value_at(config, path)
        if isinstance(value, Mapping) and dataclasses.is_dataclass(part):
            inner = {f"{path}.{name}": each for name, each in value.items()}
            config = changed(config, inner)
        else:
            config = _with(config, path.split("."), value, path)
    return config


def _with(config: Any, names: list[str], value: Any, path: str) -> Any:
    first, *rest = names
    if rest:
        value = _with(getattr(config, first), rest, value, path)
    else:
        value = tuple(value) if isinstance(value, list) else value
        hint = typing.get_type_hints(type(config))[first]
        require(_fits(hint, value), path, f"must be {_describe(hint)}", value)
    return dataclasses.replace(config, **{first: value})


def _fits(hint: Any, value: Any) -> bool:
    """Whether a value has the type of a setting; dataclasses do not check this."""
    kind, parts = typing.get_origin(hint), typing.get_args(hint)
    if kind is typing.Literal:
        return value in parts
    if kind in (typing.Union, types.UnionType):
        return any(_fits(part, value) for part in parts)
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, int | float if hint is float else kind or hint)


def _describe(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return f"one of {', '.join(map(str, typing.get_args(hint)))}"
    of_type = f"of type {getattr(hint, '__name__', hint)}"
    is_part = dataclasses.is_dataclass(hint)
    return of_type + (", or a dictionary of its settings" if is_part else "")

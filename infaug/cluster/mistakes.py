"""How a mistake in a file is told: `field: what, remedy`."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any


def unknown_keys(
    where: str, found: Mapping[str, Any], known: Iterable[str]
) -> Iterator[str]:
    """A mistake for each key that is not known, with the nearest one that is."""
    for key in sorted(set(found) - set(known)):
        near = get_close_matches(key, list(known), n=1)
        meant = f"did you mean {near[0]}?" if near else "remove it"
        yield f"{where}.{key}: no such field, {meant}"


def opens_to_world(address: object) -> bool:
    """Whether a CIDR block is the whole Internet, as IPv4 or IPv6."""
    return str(address).endswith("/0")


def to_fill_in(value: object, where: str = "") -> Iterator[str]:
    """The fields that still hold FILL-IN, each once."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from to_fill_in(inner, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list):
        yield from dict.fromkeys(
            field for inner in value for field in to_fill_in(inner, where)
        )
    elif "FILL-IN" in str(value):
        yield where

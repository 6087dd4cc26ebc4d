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


def to_fill_in(text: str) -> Iterator[int]:
    """The numbers of the lines with a FILL-IN that is no comment."""
    for number, line in enumerate(text.splitlines(), start=1):
        if "FILL-IN" in line.partition("#")[0]:
            yield number

"""How a command speaks: to people, or with --json to machines."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Output:
    """Flags of every command that prints what it found."""

    quiet: bool = False
    """Print nothing but warnings and errors."""
    json: bool = False
    """Print one JSON object, for machines, and nothing else."""

    @property
    def is_for_people(self) -> bool:
        """Whether progress and explanations are wanted."""
        return not (self.quiet or self.json)


def tell(asked: Output, lines: Sequence[str], found: Mapping[str, Any]) -> None:
    """Print lines to people, or what was found to machines."""
    if asked.json:
        print(json.dumps(found), flush=True)
    elif not asked.quiet:
        print(*lines, sep="\n")

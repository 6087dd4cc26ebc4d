"""Which images a run left out: those it could not read, and those in two splits."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from infaug.report.facts import Facts
from infaug.words import are, plural, were

MOST_NAMED = 10


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """Images that were left out for one reason, the first of them by name."""

    says: str
    lines: Sequence[str]
    more: str
    """How many are not named here, and where they are; empty if all are."""


def left_out(facts: Facts) -> list[LeftOut]:
    """What `unreadable.txt` and `duplicates.jsonl` of the run say; nothing: none."""
    return [found for found in (_unreadable(facts), _duplicates(facts)) if found]


def _unreadable(facts: Facts) -> LeftOut | None:
    lines = _lines(facts, "unreadable.txt")
    num = len(lines)
    says = f"{plural(num, 'image')} could not be read and {were(num)} skipped."
    return _named(says, lines, "unreadable.txt")


def _duplicates(facts: Facts) -> LeftOut | None:
    """By name: seeds divide the images anew and so have many of them in common."""
    found = {}
    for line in _lines(facts, "duplicates.jsonl"):
        each = json.loads(line)
        found.setdefault(each["name"], each)
    num, is_kept = len(found), facts.config.data.drop_duplicates is False
    done = "kept in both (drop-duplicates is off)" if is_kept else "left out of one"
    says = (
        f"{plural(num, 'image')} {are(num)}, pixel by pixel, in two splits of a seed, "
        f"and {were(num)} {done}."
    )
    said = "in" if is_kept else "left out of"
    lines = [
        f"{name}, {said} {each['split']}: the same as {each['twin']} ({each['held']})"
        for name, each in found.items()
    ]
    return _named(says, lines, "duplicates.jsonl")


def _lines(facts: Facts, name: str) -> list[str]:
    path = facts.path / name
    return path.read_text().splitlines() if path.exists() else []


def _named(says: str, lines: Sequence[str], file: str) -> LeftOut | None:
    if not lines:
        return None
    more = len(lines) - MOST_NAMED
    return LeftOut(
        says=says,
        lines=lines[:MOST_NAMED],
        more=f"and {more:,} more in {file}" if more > 0 else "",
    )

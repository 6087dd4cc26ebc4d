"""What a check found, and what to do about it."""

from dataclasses import asdict, dataclass
from typing import Literal

Status = Literal["ok", "note", "fix"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the doctor's report."""

    name: str
    status: Status
    """`note`: works, but worth knowing; `fix`: infaug cannot work like this."""
    found: str
    remedy: str = ""
    """What to do; empty if there is nothing to be done."""

    def lines(self) -> list[str]:
        """For people; the remedy on a line of its own."""
        mark = {"ok": "ok  ", "note": "note", "fix": "FIX "}[self.status]
        line = f"{mark}  {self.name:<18} {self.found}"
        return [line, *([f"{'':24} -> {self.remedy}"] if self.remedy else [])]

    def as_dict(self) -> dict[str, str]:
        """For machines."""
        return asdict(self)


def judge(name: str, holds: bool, found: str, remedy: str) -> Finding:
    """`ok`, or `fix` with the remedy."""
    if holds:
        return Finding(name=name, status="ok", found=found)
    return Finding(name=name, status="fix", found=found, remedy=remedy)


def mention(name: str, holds: bool, found: str, remedy: str) -> Finding:
    """`ok`, or `note` with the remedy."""
    if holds:
        return Finding(name=name, status="ok", found=found)
    return Finding(name=name, status="note", found=found, remedy=remedy)

"""What a run took, all its starts together: its time, and the most memory it held."""

import resource
import sys
from dataclasses import dataclass
from pathlib import Path

from infaug.record.folder import RunFolder
from infaug.words import memory

# ru_maxrss counts bytes on macOS and KiB elsewhere.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, kw_only=True)
class Effort:
    """Of the process that writes; other workers have as much of their own."""

    seconds: float
    """Of all steps; what was repeated counts twice."""
    memory_gib: float | None
    """Most main memory that was resident at once; None in runs that did not note it."""
    gpu_gib: float | None
    """Most that tensors took on the GPU; None where none was used."""

    def said(self) -> str:
        """In words.

        >>> Effort(seconds=75.0, memory_gib=1.25, gpu_gib=None).said()
        'training took 1 min 15 s, and at most 1.25 GiB of memory'
        """
        minutes, seconds = divmod(round(self.seconds), 60)
        took = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
        parts = [f"training took {took}"]
        if self.memory_gib is not None:
            parts.append(f"and at most {memory(self.memory_gib)} of memory")
        if self.gpu_gib is not None:
            parts.append(f"{memory(self.gpu_gib)} of the GPU")
        return ", ".join(parts)


def effort_of(run: Path) -> Effort:
    """From timings.jsonl of a run's folder."""
    lines = RunFolder(run).lines("timings.jsonl")

    def most(name: str) -> float | None:
        return max((line[name] for line in lines if name in line), default=None)

    return Effort(
        seconds=sum(line["seconds"] for line in lines),
        memory_gib=most("memory_gib"),
        gpu_gib=most("gpu_gib"),
    )


def peak_memory_gib() -> float:
    """The most that this process ever had resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT / 2**30

"""timings.jsonl: what the steps took, a JSON object a line; and what all took together.

The file only ever grows: work that is repeated is listed again.
"""

import resource
import sys
from dataclasses import dataclass
from pathlib import Path

from infaug.record.folder import RunFolder
from infaug.record.journal import AppendFile, as_line
from infaug.record.steps import Interval, MetricsWriter, StepInfo
from infaug.words import memory

# ru_maxrss counts bytes on macOS and KiB elsewhere.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Timings(MetricsWriter):
    """The file, open for appending."""

    def __init__(self, folder: Path):
        self._file = AppendFile.lines(folder / "timings.jsonl")

    def timing(self, info: StepInfo, interval: Interval) -> None:
        """Append a line."""
        line = {
            "method": info.method,
            "seed": info.seed,
            "round": info.round,
            "phase": info.phase,
            "step": info.step,
            "steps": interval.steps,
            "seconds": interval.seconds,
            **{f"{part}_seconds": spent for part, spent in interval.parts.items()},
            "own_seconds": interval.own_seconds,
            **interval.counts,
            "images_a_second": interval.images_a_second,
            "gpu_gib": interval.gpu_gib,
            "memory_gib": interval.memory_gib,
        }
        known = {
            name: round(value, 5) if isinstance(value, float) else value
            for name, value in line.items()
            if value is not None
        }
        self._file.append(as_line(known))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What all trainings of an experiment took, each as its first process saw it."""

    seconds: float
    """Of all steps, summed over trainings; what was repeated counts twice."""
    memory_gib: float | None
    """Most main memory that one of them held at once; None if it was not recorded."""
    gpu_gib: float | None
    """Most that tensors took on the GPU; None where none was used."""

    def describe(self, wall_s: float | None = None) -> str:
        """In words, with the time on the clock if it is known.

        >>> Effort(seconds=235.0, memory_gib=1.25, gpu_gib=None).describe(146.0)
        'trainings took 3 min 55 s in all (2 min 26 s on the clock), at most 1.25 GiB of memory each'
        """  # noqa: E501
        wall = "" if wall_s is None else f" ({_minutes(wall_s)} on the clock)"
        parts = [f"trainings took {_minutes(self.seconds)} in all{wall}"]
        if self.memory_gib is not None:
            parts.append(f"at most {memory(self.memory_gib)} of memory each")
        if self.gpu_gib is not None:
            parts.append(f"{memory(self.gpu_gib)} of the GPU")
        return ", ".join(parts)


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


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

"""timings.jsonl: what the steps took, a JSON object a line.

It only ever grows: work that is repeated is listed again.
"""

from pathlib import Path

from infaug.record.growing import Growing
from infaug.record.journal import as_line
from infaug.record.watcher import Metrics, Moment, Stretch


class Timings:
    """The file, open for appending."""

    def __init__(self, folder: Path):
        self._file = Growing.lines(folder / "timings.jsonl")

    def begin(self, row: str, seed: int, position: int) -> None:
        """Repeated work takes time, too."""

    def metrics(self, moment: Moment, metrics: Metrics) -> None:
        """They are in metrics.jsonl."""

    def timing(self, moment: Moment, stretch: Stretch) -> None:
        """Append a line."""
        line = {
            "row": moment.row,
            "seed": moment.seed,
            "round": moment.round,
            "phase": moment.phase,
            "step": moment.step,
            "steps": stretch.steps,
            "seconds": stretch.seconds,
            **{f"{part}_seconds": spent for part, spent in stretch.parts.items()},
            "own_seconds": stretch.own_seconds,
            **stretch.counts,
            "images_a_second": stretch.images_a_second,
            "gpu_gib": stretch.gpu_gib,
            "memory_gib": stretch.memory_gib,
        }
        known = {
            name: _brief(value) for name, value in line.items() if value is not None
        }
        self._file.append(as_line(known))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _brief(value: float | int | str) -> float | int | str:
    return round(value, 5) if isinstance(value, float) else value

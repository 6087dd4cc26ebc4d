"""Finished trainings of tables: a file of JSON lines that only ever grows."""

from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any

from infaug.config import DataConfig, RunConfig
from infaug.experiment.table_plan import (
    TableTraining,
    reading,
    recorded_training,
    table_training,
)
from infaug.record.journal import append_line, read_lines

Record = dict[str, Any]


class Results:
    """What finished jobs found; the file is made when first added to.

    `read` tells the job of a line; by default a training of a table, or None if a
    setting of it is gone.
    """

    def __init__(
        self, path: Path, read: Callable[[Record], Hashable] = recorded_training
    ):
        self.path, self._read = path, read
        self._found = {read(record): record for record in read_lines(path)}

    def __contains__(self, job: Hashable) -> bool:
        return job in self._found

    def get(self, job: Hashable) -> Record | None:
        """What a job found, or None if it has not been done."""
        return self._found.get(job)

    def by_seed(self, method: str, config: RunConfig, seeds: int) -> dict[int, Record]:
        """What the finished trainings of a method on a problem found."""
        found = {s: self.get(table_training(method, s, config)) for s in range(seeds)}
        return {seed: record for seed, record in found.items() if record is not None}

    def match(self, data: DataConfig, images: Mapping[str, Any]) -> None:
        """Refuse other images than those that results are about under the same name.

        `images` is what tells them from others: `Source.identity`.
        """
        for training, record in self._found.items():
            if not isinstance(training, TableTraining):
                continue
            before = record.get("data", images)
            if reading(training.config.data) == reading(data) and before != images:
                differ = [
                    k for k in {**before, **images} if before.get(k) != images.get(k)
                ]
                raise ValueError(
                    f"{self.path} holds results of other images called "
                    f"{data.source!r} (other {', '.join(differ)}): give these another "
                    "name, as --data NAME=FOLDER, or use another --out or --results"
                )

    def add(self, record: Record) -> None:
        """Append what a job found; it is on disk when this returns."""
        append_line(self.path, record)
        self._found[self._read(record)] = record

"""Finished trainings of tables: a file of JSON lines that only ever grows."""

from pathlib import Path
from typing import Any

from infaug.config import DataConfig
from infaug.experiment.grid import GridTraining, recorded_training
from infaug.experiment.grid_images import reading
from infaug.record.journal import append_line, read_lines

Record = dict[str, Any]


class Results:
    """What finished trainings found; the file is made when first added to."""

    def __init__(self, path: Path):
        self.path = path
        self._found = {recorded_training(record): record for record in read_lines(path)}

    def __contains__(self, training: GridTraining) -> bool:
        return training in self._found

    def get(self, training: GridTraining) -> Record | None:
        """What a training found, or None if it has not been run."""
        return self._found.get(training)

    def have(self, data: DataConfig) -> bool:
        """Whether a training is finished whose images were read as these are."""
        read = {
            reading(training.config.data)
            for training in self._found
            if training is not None
        }
        return reading(data) in read

    def add(self, record: Record) -> None:
        """Append what a training found; it is on disk when this returns."""
        append_line(self.path, record)
        self._found[recorded_training(record)] = record

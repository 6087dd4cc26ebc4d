"""Finished trainings of tables: a file of JSON lines that only ever grows."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from infaug.config import DataConfig
from infaug.experiment.grid import GridTraining, recorded_training
from infaug.experiment.grid_images import FROM_IMAGES, reading
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

    def match(self, data: DataConfig, images: Mapping[str, Any]) -> None:
        """Refuse other images than those that results are about under the same name.

        `images` is what tells them from others: `Source.identity`.
        """
        for training, record in self._of_known():
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

    def recall(self, requested: DataConfig) -> DataConfig:
        """The settings with the size and mode of the latest results, if there are any.

        So what is finished can be shown where the images are not.
        """
        for training, _ in reversed(self._of_known()):
            read = training.config.data
            found = {name: getattr(read, name) for name in FROM_IMAGES}
            is_open = all(
                getattr(requested, name) in (getattr(DataConfig, name), value)
                for name, value in found.items()
            )
            recalled = replace(requested, **found)
            if is_open and reading(recalled) == reading(read):
                return recalled
        return requested

    def _of_known(self) -> list[tuple[GridTraining, Record]]:
        """Those whose settings are known."""
        return [(t, record) for t, record in self._found.items() if t is not None]

    def add(self, record: Record) -> None:
        """Append what a training found; it is on disk when this returns."""
        append_line(self.path, record)
        self._found[recorded_training(record)] = record

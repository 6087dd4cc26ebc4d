"""Finished cells of tables: a file of JSON lines that only ever grows."""

from pathlib import Path
from typing import Any

from infaug.config import DataConfig
from infaug.experiment.grid import GridCell, recorded_cell
from infaug.experiment.grid_images import reading
from infaug.record.journal import append_line, read_lines

Record = dict[str, Any]


class Results:
    """What finished cells found, by cell; made with its folder when first added to."""

    def __init__(self, path: Path):
        self.path = path
        self._found = {recorded_cell(record): record for record in read_lines(path)}

    def __contains__(self, cell: GridCell) -> bool:
        return cell in self._found

    def get(self, cell: GridCell) -> Record | None:
        """What a cell found, or None if it has not been run."""
        return self._found.get(cell)

    def have(self, data: DataConfig) -> bool:
        """Whether a cell is finished whose images were read as these are."""
        read = {reading(cell.config.data) for cell in self._found if cell is not None}
        return reading(data) in read

    def add(self, record: Record) -> None:
        """Append what a cell found; it is on disk when this returns."""
        append_line(self.path, record)
        self._found[recorded_cell(record)] = record

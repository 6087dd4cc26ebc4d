"""What pictures are made of: a finished learned cell and its images."""

from collections.abc import Iterator
from dataclasses import dataclass

from safetensors.torch import load_file

from infaug.data.problem import Splits
from infaug.estimate.learned_transform import LearnedTransform
from infaug.report.facts import Facts
from infaug.report.standing import speaking_row
from infaug.report.views import load_transform
from infaug.rows import ROWS
from infaug.trust.reload import Finished, reload


@dataclass(frozen=True, eq=False)
class Material:
    """One cell of the row that the verdict is about, and the images of its seed."""

    facts: Facts
    finished: Finished

    @property
    def row(self) -> str:
        """The cell's row."""
        return self.finished.cell.row.name

    @property
    def seed(self) -> int:
        """The cell's seed."""
        return self.finished.cell.seed

    @property
    def splits(self) -> Splits:
        """The images of this seed."""
        return self.finished.splits

    def transforms(self) -> Iterator[tuple[str, LearnedTransform]]:
        """E and G of every learned row that has finished this seed; this row first."""
        rows = [name for name in self.facts.found if ROWS[name].is_learned]
        for row in sorted(rows, key=lambda name: name != self.row):
            if self.seed in self.facts.found[row]:
                yield row, self.transform_of(row)

    def transform_of(self, row: str) -> LearnedTransform:
        """E and G as a row of this seed left them, on the CPU."""
        weights = self.facts.path / "cells" / f"{row}-seed{self.seed}"
        state = load_file(weights / "transform.safetensors")
        return load_transform(state, self.splits, self.facts.config)


def open_material(facts: Facts) -> Material:
    """Load the first finished seed of the speaking row.

    Raises:
        ValueError: if no learned cell is finished, or its images are not to be had.
    """
    row = speaking_row(facts)
    if row is None:
        raise ValueError("no cell with a learned augmentation is finished")
    return Material(facts, reload(facts.path, row, min(facts.found[row])))

"""What pictures are made of: a finished learned cell and its images."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from safetensors.torch import load_file

from infaug.data.problem import Splits
from infaug.estimate.learned_transform import LearnedTransform
from infaug.report.facts import Facts
from infaug.report.standing import speaking_row
from infaug.report.views import load_transform
from infaug.training.methods import METHODS
from infaug.trust.reload import Finished, reload

Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class Material:
    """One cell of the row that the verdict is about, and the images of its seed."""

    facts: Facts
    finished: Finished

    @property
    def row(self) -> str:
        """The cell's row."""
        return self.finished.cell.method.name

    @property
    def seed(self) -> int:
        """The cell's seed."""
        return self.finished.cell.seed

    @property
    def splits(self) -> Splits:
        """The images of this seed."""
        return self.finished.splits

    @cached_property
    def transforms(self) -> dict[str, LearnedTransform]:
        """E and G of every learned row that has finished this seed; this row first.

        On the CPU, in evaluation mode.
        """
        rows = [
            row
            for row, found in self.facts.found.items()
            if METHODS[row].is_learned and self.seed in found
        ]
        rows.sort(key=lambda row: row != self.row)
        return {row: self._transform(row) for row in rows}

    def _transform(self, row: str) -> LearnedTransform:
        weights = self.facts.path / "trainings" / f"{row}-seed{self.seed}"
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


def or_reason(make: Callable[[], Made]) -> Made | ValueError:
    """What is made, or why it is not to be had: of an old run it may be anything.

    A page says so in the place of the pictures, and shows the rest.
    """
    try:
        return make()
    except Exception as error:  # see above
        return ValueError(reason_of(error))


def had(found: Made | ValueError) -> Made:
    """What was found.

    Raises:
        ValueError: the reason, if it was not.
    """
    if isinstance(found, ValueError):
        raise found
    return found


def reason_of(error: Exception) -> str:
    """An error in a few words; one that was not meant for a user has its name.

    >>> reason_of(ValueError("x is no run.")), reason_of(KeyError("x"))
    ('x is no run', "KeyError: 'x'")
    """
    said = str(error).partition("\n")[0].rstrip(".:")
    if isinstance(error, (ValueError, OSError)):
        return said
    return f"{type(error).__name__}: {said}"

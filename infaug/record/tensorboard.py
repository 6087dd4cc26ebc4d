"""Curves: `tensorboard --logdir RUN/tensorboard` draws a run while it goes on.

Every cell is a run of TensorBoard's. All of its curves share one axis, the steps of any
kind that lie behind the cell, so a place on it is the same place in every row.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from infaug.record.event_file import EventFile
from infaug.record.watcher import Metrics, Moment, Stretch


class TensorBoard:
    """Writes FOLDER/ROW-seedK: metrics, seconds a step, images a second, GPU memory.

    What was written past the checkpoint that a cell goes on from is not deleted, but
    said to be void; TensorBoard does not show it. Words are left out: metrics.jsonl has
    them.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._file: EventFile | None = None

    def begin(self, row: str, seed: int, position: int) -> None:
        """Open the cell's file; events past `position` are void.

        A disk that takes no file leaves a cell without curves, and a warning: other
        processes are waiting for this one.
        """
        self.close()
        folder = self.folder / f"{row}-seed{seed}"
        try:
            self._file = EventFile(folder, position + 1)
        except OSError as error:
            warnings.warn(
                f"{folder} cannot be written ({error.strerror}): {row} seed {seed} has "
                "no curves from here on; metrics.jsonl has its numbers",
                stacklevel=2,
            )

    def metrics(self, moment: Moment, metrics: Metrics) -> None:
        """The numbers, as PHASE/NAME."""
        numbers = {
            f"{moment.phase}/{name}": value
            for name, value in metrics.items()
            if not isinstance(value, str)
        }
        if self._file:
            self._file.scalars(numbers, moment.position)

    def timing(self, moment: Moment, stretch: Stretch) -> None:
        """As time.PHASE/PART, seconds a step, and PHASE/NAME."""
        phase = moment.phase
        found = {f"time.{phase}/{k}": v for k, v in stretch.seconds_a_step.items()}
        found |= {f"{phase}/{k}": v for k, v in stretch.counts.items() if k != "images"}
        if stretch.images_a_second is not None:
            found[f"{phase}/images_a_second"] = stretch.images_a_second
        if stretch.gpu_gib is not None:
            found[f"{phase}/gpu_gib"] = stretch.gpu_gib
        if self._file:
            self._file.scalars(found, moment.position)

    def close(self) -> None:
        """Close the file, if one is open."""
        if self._file:
            self._file.close()
            self._file = None


def show_pictures(folder: Path, pictures: Sequence[Path]) -> None:
    """Put the pictures of a finished run, PNG files, beside its curves; once.

    They are the run `pictures` of TensorBoard's, under the names of their files. A disk
    that takes none is told in a warning: a finished run must not fail for them.
    """
    place = folder / "pictures"
    if place.exists():
        return
    try:
        file = EventFile(place, 0)
        for path in pictures:
            with Image.open(path) as image:
                file.picture(path.stem, path.read_bytes(), image.size, 0)
        file.close()
    except OSError as error:
        warnings.warn(
            f"{place} cannot be written ({error.strerror}): the pictures lie in "
            f"{folder.parent}",
            stacklevel=2,
        )

"""Event files: `tensorboard --logdir RUN/tensorboard` draws a run while it goes on.

Every cell is a run of TensorBoard's. All of its curves share one axis, the steps of any
kind that lie behind the cell, so a place on it is the same place in every row.
"""

from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from infaug.record.watcher import Metrics, Moment, Stretch


class TensorBoard:
    """Writes FOLDER/ROW-seedK: metrics, seconds a step, images a second, GPU memory.

    What was written past the checkpoint that a cell goes on from is not deleted, but
    said to be void; TensorBoard does not show it. Words are left out: metrics.jsonl has
    them.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._writer: SummaryWriter | None = None

    def begin(self, row: str, seed: int, position: int) -> None:
        """Open the cell's file; events past `position` are void."""
        self.close()
        folder = self.folder / f"{row}-seed{seed}"
        self._writer = SummaryWriter(str(folder), purge_step=position + 1)

    def metrics(self, moment: Moment, metrics: Metrics) -> None:
        """The numbers, as PHASE/NAME."""
        numbers = {k: v for k, v in metrics.items() if not isinstance(v, str)}
        self._write(moment.phase, numbers, moment.position)

    def timing(self, moment: Moment, stretch: Stretch) -> None:
        """As time.PHASE/PART, seconds a step, and PHASE/NAME."""
        self._write(f"time.{moment.phase}", stretch.seconds_a_step, moment.position)
        found = {k: v for k, v in stretch.counts.items() if k != "images"}
        if stretch.images_a_second is not None:
            found["images_a_second"] = stretch.images_a_second
        if stretch.gpu_gib is not None:
            found["gpu_gib"] = stretch.gpu_gib
        self._write(moment.phase, found, moment.position)

    def _write(self, group: str, numbers: Mapping[str, float], position: int) -> None:
        assert self._writer is not None, "a cell has begun"
        for name, value in numbers.items():
            self._writer.add_scalar(f"{group}/{name}", value, position)
        # A killed process must not lose what a checkpoint is about to pass.
        self._writer.flush()

    def close(self) -> None:
        """Close the file, if one is open."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

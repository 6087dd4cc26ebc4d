"""Curves: `tensorboard --logdir RUN/tensorboard` draws an experiment as it goes on.

Every training is a run of TensorBoard's. Its curves share one axis, the steps of any
kind that were done before, so a place on it is the same place in every method.

Not by `torch.utils.tensorboard`: it writes from a thread, which a full disk ends for
good, and a kill loses two minutes. Here a record is appended whole, or later.
"""

import io
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

# protobuf makes these classes when it is imported.
from tensorboard.compat.proto.event_pb2 import (
    Event,  # pyright: ignore[reportAttributeAccessIssue]
    SessionLog,  # pyright: ignore[reportAttributeAccessIssue]
)
from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.summary.writer.record_writer import RecordWriter

from infaug.record.journal import AppendFile
from infaug.record.steps import Interval, Metrics, MetricsWriter, StepInfo


class TensorBoard(MetricsWriter):
    """Writes FOLDER/METHOD-seedK: metrics, seconds a step, images a second, GPU memory.

    What was written past the checkpoint that a training resumes from is not deleted,
    but said to be void: TensorBoard does not show it. Words are left out; metrics.jsonl
    has them.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._file: AppendFile | None = None

    def begin(self, method: str, seed: int, global_step: int) -> None:
        """Open the training's next file; events past `global_step` are void.

        TensorBoard reads the files of a folder in order of name. A disk that takes none
        leaves a training without curves, and a warning: other processes are waiting for
        this one.
        """
        folder = self.folder / f"{method}-seed{seed}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            number = len(list(folder.glob("events.out.tfevents.*")))
            self._file = AppendFile(folder / f"events.out.tfevents.{number:06d}")
            self._add(Event(file_version="brain.Event:2"))
            begun = SessionLog(status=SessionLog.START)
            self._add(Event(step=global_step + 1, session_log=begun))
        except OSError as error:
            warnings.warn(
                f"{folder} cannot be written ({error.strerror}): {method} seed {seed} "
                "has no curves from here on; metrics.jsonl has its numbers",
                stacklevel=2,
            )

    def metrics(self, info: StepInfo, metrics: Metrics) -> None:
        """The numbers, as PHASE/NAME."""
        numbers = {
            f"{info.phase}/{name}": value
            for name, value in metrics.items()
            if not isinstance(value, str)
        }
        self._scalars(numbers, info.global_step)

    def timing(self, info: StepInfo, interval: Interval) -> None:
        """As time.PHASE/PART, seconds a step, and PHASE/NAME."""
        phase = info.phase
        found = {f"time.{phase}/{k}": v for k, v in interval.seconds_a_step.items()}
        found |= {
            f"{phase}/{k}": v for k, v in interval.counts.items() if k != "images"
        }
        if interval.images_a_second is not None:
            found[f"{phase}/images_a_second"] = interval.images_a_second
        if interval.gpu_gib is not None:
            found[f"{phase}/gpu_gib"] = interval.gpu_gib
        self._scalars(found, info.global_step)

    def _scalars(self, numbers: Mapping[str, float], step: int) -> None:
        """Add a point to the curve of each name."""
        values = [
            Summary.Value(tag=tag, simple_value=value) for tag, value in numbers.items()
        ]
        self._add(Event(step=step, summary=Summary(value=values)))

    def _add(self, event: Event) -> None:
        if self._file:
            event.wall_time = time.time()
            record = io.BytesIO()
            RecordWriter(record).write(event.SerializeToString())
            self._file.append(record.getvalue())

    def close(self) -> None:
        """Close the file, if one is open."""
        if self._file:
            self._file.close()

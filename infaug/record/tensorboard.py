"""Curves: `tensorboard --logdir RUN/tensorboard` draws an experiment as it goes on.

Every training is a run of TensorBoard's. Its curves share one axis, the steps of any
kind that were done before, so a place on it is the same place in every method.

`torch.utils.tensorboard` is not used: it writes from a thread, which a full disk ends
for good, and a kill loses the two minutes that are not written yet. Here a record is
appended whole, or later.
"""

import io
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

# protobuf makes these classes when it is imported.
from tensorboard.compat.proto.event_pb2 import (
    Event,  # pyright: ignore[reportAttributeAccessIssue]
    SessionLog,  # pyright: ignore[reportAttributeAccessIssue]
)
from tensorboard.compat.proto.summary_pb2 import (
    Summary,  # pyright: ignore[reportAttributeAccessIssue]
)
from tensorboard.summary.writer.record_writer import RecordWriter

from infaug.record.journal import AppendFile
from infaug.record.steps import Interval, Metrics, StepInfo


class EventFile:
    """The next event file of a folder; TensorBoard reads them in order of name.

    Args:
        folder: of a training; made if need be.
        first: the first step that this file holds. What earlier files hold of it and of
            later ones is void: TensorBoard does not show it.
    """

    def __init__(self, folder: Path, first: int):
        folder.mkdir(parents=True, exist_ok=True)
        number = len(list(folder.glob("events.out.tfevents.*")))
        self._file = AppendFile(folder / f"events.out.tfevents.{number:06d}")
        self._add(Event(file_version="brain.Event:2"))
        begun = SessionLog(status=SessionLog.START)
        self._add(Event(step=first, session_log=begun))

    def scalars(self, numbers: Mapping[str, float], step: int) -> None:
        """Add a point to the curve of each name."""
        values = [
            Summary.Value(tag=tag, simple_value=value) for tag, value in numbers.items()
        ]
        self._add(Event(step=step, summary=Summary(value=values)))

    def picture(self, name: str, png: bytes, size: tuple[int, int], step: int) -> None:
        """Add a picture, `size` being its width and height."""
        width, height = size
        image = Summary.Image(
            width=width, height=height, colorspace=4, encoded_image_string=png
        )
        summary = Summary(value=[Summary.Value(tag=name, image=image)])
        self._add(Event(step=step, summary=summary))

    def _add(self, event: Event) -> None:
        event.wall_time = time.time()
        record = io.BytesIO()
        RecordWriter(record).write(event.SerializeToString())
        self._file.append(record.getvalue())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TensorBoard:
    """Writes FOLDER/METHOD-seedK: metrics, seconds a step, images a second, GPU memory.

    What was written past the checkpoint that a training resumes from is not deleted,
    but said to be void: TensorBoard does not show it. Words are left out; metrics.jsonl
    has them.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._file: EventFile | None = None

    def begin(self, method: str, seed: int, global_step: int) -> None:
        """Open the training's file; events past `global_step` are void.

        A disk that takes no file leaves a training without curves, and a warning: other
        processes are waiting for this one.
        """
        self.close()
        folder = self.folder / f"{method}-seed{seed}"
        try:
            self._file = EventFile(folder, global_step + 1)
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
        if self._file:
            self._file.scalars(numbers, info.global_step)

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
        if self._file:
            self._file.scalars(found, info.global_step)

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

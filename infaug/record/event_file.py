"""A file of TensorBoard's, written without a thread and without losing its shape.

`torch.utils.tensorboard` writes from a thread of its own, which a full disk ends, and
with it the run that next speaks to it. Here a record is appended whole, or later.
"""

import io
import time
from collections.abc import Mapping
from pathlib import Path

# protobuf makes these classes when it is imported.
from tensorboard.compat.proto.event_pb2 import (
    Event,  # pyright: ignore[reportAttributeAccessIssue]
    SessionLog,  # pyright: ignore[reportAttributeAccessIssue]
)
from tensorboard.compat.proto.summary_pb2 import (
    Summary,  # pyright: ignore[reportAttributeAccessIssue]
)
from tensorboard.summary.writer.record_writer import RecordWriter

from infaug.record.growing import Growing


class EventFile:
    """The next event file of a folder; TensorBoard reads them in order of name.

    Args:
        folder: of a cell; made if need be.
        first: the first step that this file holds. What earlier files hold of it and of
            later ones is void: TensorBoard does not show it.
    """

    def __init__(self, folder: Path, first: int):
        folder.mkdir(parents=True, exist_ok=True)
        number = len(list(folder.glob("events.out.tfevents.*")))
        self._file = Growing(folder / f"events.out.tfevents.{number:06d}")
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

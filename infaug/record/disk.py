"""What a disk says while a run is written, as all processes of the run can hear it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Around whatever writes into a run's folder.

    Raises:
        ValueError: if the disk is full or gone. An OSError would end this process
            alone: the others would wait for it, and Ray begin again as if it had died.
    """
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"{folder} cannot be written ({error.strerror or error}): what was saved "
            "before is kept; make room there, and the same command continues"
        ) from error

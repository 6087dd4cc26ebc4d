"""Files that appear complete or not at all, for writers that want a path."""

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to; it becomes `path` when all went well, else it is removed.

    Raises:
        ValueError: if it cannot be written, as when the disk is full.
    """
    # Not named *.parquet, so that a reader of the folder never takes it for data. Host
    # and process: a task that is given up may still be writing when its double starts.
    own = f".{path.name}.{socket.gethostname()}.{os.getpid()}.part"
    unfinished = path.with_name(own)
    try:
        yield unfinished
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "the disk is full" if is_full else error.strerror or str(error)
        remedy = "free some space" if is_full else "mend that"
        raise ValueError(
            f"{path} cannot be written ({why}): {remedy}, and give the same command "
            "again"
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed writers left; nobody may be writing there."""
    for path in folder.glob(".*.part"):
        path.unlink(missing_ok=True)

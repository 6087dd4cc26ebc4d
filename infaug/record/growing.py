"""A file that only grows while a run goes on."""

import contextlib
import os
from pathlib import Path


class Growing:
    """Open for appending; what the disk says of it, `flush` raises.

    So that a full disk is told where all processes of a run listen. What could not be
    written is written later, where it belongs.
    """

    def __init__(self, path: Path):
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._unwritten = b""

    @classmethod
    def lines(cls, path: Path) -> "Growing":
        """A file of lines; half of one that a kill or a full disk left is dropped."""
        file = cls(path)
        file.cut(path.read_bytes().rfind(b"\n") + 1)
        return file

    def append(self, content: bytes) -> None:
        """Add to its end; a killed process leaves it there."""
        self._unwritten += content
        with contextlib.suppress(OSError):
            self._write()

    def _write(self) -> None:
        while self._unwritten:
            self._unwritten = self._unwritten[self._file.write(self._unwritten) :]

    def flush(self) -> int:
        """Put all on disk; the length of the file.

        Raises:
            OSError: if the disk is full or gone; the rest is written next time.
        """
        self._write()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def cut(self, length: int) -> None:
        """Drop what lies beyond a length."""
        self._file.truncate(length)
        self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
